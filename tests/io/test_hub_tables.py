"""Datasets of a stand-in of the Hugging Face hub as tables."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from huggingface_hub import constants

from hub_server import OnHub
from silr.cli import main
from silr.errors import InputError
from silr.io.hub_tables import HubTable, address_of, hub_table, local_table, table_of_record
from synthetic import make_corpus

CARD = """---
dataset_info:
  features:
  - {name: text, dtype: string}
  - {name: stars, dtype: {class_label: {names: {'0': bad, '1': good}}}}
configs:
- config_name: default
  data_files: [{split: train, path: data/train-*}, {split: test, path: data/test-*}]
---
"""
TWO = """---
configs:
- {config_name: a, data_files: a/*.csv}
- {config_name: b, data_files: b/*.csv}
---
"""


def test_addresses() -> None:
    assert hub_table("reviews.csv") is None and address_of("reviews.csv") is None
    assert hub_table(Path("hf://datasets/ada/r")) == HubTable("ada/r", None, "")
    table = hub_table("hf://datasets/ada/r@refs%2Fconvert%2Fparquet/a/train/")
    assert table == HubTable("ada/r", "refs/convert/parquet", "a/train")
    assert str(table) == "hf://datasets/ada/r@refs%2Fconvert%2Fparquet/a/train"
    for wrong in ("hf://datasets/ada", "hf://ada/model", "hf://datasets/ada/r/../../x"):
        with pytest.raises(InputError, match="hf://datasets/OWNER/NAME"):
            local_table(wrong)


def test_an_outage_is_no_mistake_in_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("sys.argv", ["silr", "evaluate", "hf://datasets/ada/away"])
    monkeypatch.setattr("silr.cli.warnings.install", lambda: None)
    with pytest.raises(SystemExit, match="2"):
        main.main()
    said = capsys.readouterr().err
    assert said == "silr: cannot read hf://datasets/ada/away: the hub at http://127.0.0.1:9 does not answer\n"


def test_a_record_names_what_is_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    commit = "0" * 40
    for inside, folder in (("", "only"), ("a/train", "a%2Ftrain")):
        name = f"hf://datasets/ada/r@{commit}" + (inside and f"/{inside}")
        file = tmp_path / "silr" / "datasets" / "ada--r" / commit / folder / "r.parquet"
        assert table_of_record(tmp_path, name) == file.parent  # nothing is fetched
        file.parent.mkdir(parents=True)
        file.touch()
        assert address_of(file) == name and table_of_record(tmp_path, name) == file
    assert table_of_record(tmp_path / "run", "../t.csv") == tmp_path / "run" / "../t.csv"


@pytest.mark.slow
def test_splits_files_and_what_is_wrong(on_hub: OnHub, tmp_path: Path) -> None:
    content = io.BytesIO()
    pd.DataFrame({"text": ["x", "y", "z"], "stars": [1, 0, -1]}).to_parquet(content)
    data = {f"data/{split}-00000-of-00001.parquet": content.getvalue() for split in ("train", "test")}
    on_hub.hub.add("datasets", "ada/stars", {**data, "README.md": CARD.encode()}, private=True)
    on_hub.hub.add("datasets", "ada/plain", {"table.csv": b"id,text\n007,x\n"})
    on_hub.hub.add("datasets", "ada/two", {"a/x.csv": b"text\nx\n", "b/x.csv": b"text\ny\n", "README.md": TWO.encode()})
    asked = ["ada/stars/train", "ada/plain", "ada/plain/table.csv", "ada/two/b/train", "ada/stars/data", "ada/stars"]
    asked += ["ada/stars/valid", "ada/two", "ada/gone", "ada/stars@v9/test"]
    script = tmp_path / "script.py"
    script.write_text(
        "import json, sys\nimport silr.io.hub_tables as tables\nfrom silr.errors import InputError\n"
        "tables.PIECE_ROWS, tables.BATCH_ROWS = 2, 1\nfound = []\n"
        "for name in sys.argv[1:]:\n    try:\n        found.append(str(tables.local_table('hf://datasets/' + name)))\n"
        "    except InputError as error:\n        found.append(str(error))\nprint(json.dumps(found))\n"
    )
    done = on_hub(*asked, script=script)
    assert (done.code, done.err) == (0, ""), done
    stars, plain, file, two, folder, several, absent, configurations, gone, revision = json.loads(done.out)
    assert sorted(path.name for path in Path(stars).iterdir()) == ["stars-train-00001.parquet", "stars-train.parquet"]
    assert pq.read_table(stars)["stars"].to_pylist() == [None, "good", "bad"]  # the names of the numbers
    assert pd.read_parquet(plain)["text"].tolist() == ["x"] and Path(file).read_bytes() == b"id,text\n007,x\n"
    assert pd.read_parquet(two)["text"].tolist() == ["y"] and len(list(Path(folder).glob("*.parquet"))) == 2
    assert "has several splits: there are train, test; as in hf://datasets/ada/stars/train" in several
    assert "no split or file 'valid'" in absent and "the configurations a, b; add one" in configurations
    assert "no such repository" in gone and "no such revision" in revision


@pytest.mark.slow
def test_commands_read_it_and_label_writes_elsewhere(
    on_hub: OnHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is fetched once; a hub that does not answer later is no obstacle."""
    table = make_corpus(60).write(tmp_path)
    on_hub.hub.add("datasets", "ada/table", {"table.csv": table.read_bytes()})
    address = "hf://datasets/ada/table/table.csv"
    done = on_hub("evaluate", address, "--truth", "truth", "--json", cwd=tmp_path)
    assert done.code == 0 and 0 < json.loads(done.out)["labels"]["llm_label"]["accuracy"] < 1, done
    done = on_hub("label", address, cwd=tmp_path)
    assert done.code == 2 and "give --output" in done.err and done.err.count("\n") == 1, done
    counted = len([path for _, path, _ in on_hub.hub.requests if path.endswith("table.csv")])
    assert on_hub("evaluate", address, "--truth", "truth", "--json", cwd=tmp_path).code == 0
    assert len([path for _, path, _ in on_hub.hub.requests if path.endswith("table.csv")]) == counted

    monkeypatch.setenv("XDG_CACHE_HOME", str(on_hub.cache))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.warns(
        UserWarning, match=r"the hub does not answer: hf://datasets/ada/table/table.csv is read as it was"
    ):
        assert local_table(address).read_bytes() == table.read_bytes()
    with pytest.raises(InputError, match=r"^cannot read hf://datasets/ada/never: the hub at .* does not answer$"):
        local_table("hf://datasets/ada/never")
