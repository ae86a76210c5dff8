"""A run on a stand-in of the Hugging Face hub: its folder as a model, its labels as a dataset, and a run from these."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pytest
from huggingface_hub import constants

import silr
from hub_server import OnHub, metadata_of, validate_card
from own_paths import own_paths
from silr.errors import InputError
from synthetic import make_corpus

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(on_hub: OnHub, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table, its run, and the run's export, which is pushed."""
    folder = tmp_path_factory.mktemp("push")
    make_corpus(120).write(folder)
    done = on_hub("refine", "table.csv", "-o", "run", "--features", "tfidf", "--truth", "truth", "-q", cwd=folder)
    assert done.code == 0, done
    done = on_hub("export", "run", "model", "--push", "reviews", "--license", "mit", "--language", "en", cwd=folder)
    assert done.code == 0 and done.out.endswith(f"pushed: {on_hub.hub.address}/ada/reviews\n"), done
    return folder


def test_the_folder_is_on_the_hub(on_hub: OnHub, place: Path) -> None:
    repository = on_hub.hub.repositories["models", "ada/reviews"]
    here = {path.relative_to(place / "model").as_posix(): path.read_bytes() for path in (place / "model").rglob("*.*")}
    there = {name: content for name, content in repository.files.items() if name != ".gitattributes"}
    assert repository.private and there == here and repository.large == {"model.skops"}
    assert not any(b"hf_of_ada" in content for content in here.values())
    card = metadata_of(here["README.md"].decode())
    assert (card["license"], card["language"], card["library_name"]) == ("mit", "en", "sklearn")
    (result,) = card["model-index"][0]["results"]
    assert result["dataset"]["name"] == "table.csv" and 0.5 < result["metrics"][0]["value"] <= 1
    assert "estimated from 60 gold labels, 95 % interval" in result["metrics"][0]["name"]
    assert "base_model" not in card and "datasets" not in card
    assert {"scikit-learn", "skops"} == {line.partition("==")[0] for line in here["requirements.txt"].decode().split()}


def test_the_folder_has_no_path_of_this_machine(place: Path) -> None:
    assert own_paths(place / "model", place, "table.csv/") == []


def test_its_example_runs_as_it_stands(on_hub: OnHub, place: Path, tmp_path: Path) -> None:
    blocks = (place / "model" / "README.md").read_text().split("```py")[1:]
    code = "".join(block.partition("\n")[2].partition("```")[0] for block in blocks)
    (tmp_path / "example.py").write_text(code.replace("model.predict(", "labels = model.predict(") + "print(*labels)")
    done = on_hub(script=tmp_path / "example.py", cwd=place / "model")
    assert done.code == 0 and len(done.out.split()) == 2, done


def test_a_second_push_replaces_the_first(on_hub: OnHub, place: Path, tmp_path: Path) -> None:
    repository = on_hub.hub.repositories["models", "ada/reviews"]
    repository.files["old.bin"] = b"of an earlier export"
    done = on_hub("export", place / "run", tmp_path / "model", "--push", "ada/reviews", "--json")
    assert done.code == 0 and json.loads(done.out)["pushed"] == {"model": f"{on_hub.hub.address}/ada/reviews"}
    assert "old.bin" not in repository.files and ".gitattributes" in repository.files
    assert metadata_of(repository.files["README.md"].decode())["license"] == "unknown"


def test_a_refusal_leaves_the_folder(on_hub: OnHub, place: Path, tmp_path: Path) -> None:
    """Who is not logged in finds out before any work."""
    for name, token, words in (("bob/new", "hf_of_ada", "rights to create a model"), ("a", None, "hf auth login")):
        folder = tmp_path / name.replace("/", "-")
        done = on_hub("export", place / "run", folder, "--push", name, "-q", token=token)
        assert done.code == 2 and done.err.count("\n") == 1 and words in done.err, done
        assert (folder / "README.md").is_file() == bool(token) == ("silr.push(" in done.err)
        assert "hf_" not in done.err + done.out


@pytest.mark.parametrize(
    ("name", "token", "words"),
    [
        ("no name", "hf_of_ada", "no name is no name on the hub"),
        ("ada/new", "hf_stale", "does not take your token"),
        ("ada/open", "hf_of_ada", "exists and is public; give --public"),
        ("ada/other", "hf_of_ada", r"holds something else \(model.safetensors\)"),
    ],
)
def test_one_line_where_it_cannot_be(
    name: str, token: str, words: str, on_hub: OnHub, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_hub.hub.add("models", "ada/other", {"model.safetensors": b"of somebody"}, private=True)
    on_hub.hub.add("models", "ada/open", {})
    monkeypatch.setattr(constants, "ENDPOINT", on_hub.hub.address)
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(InputError, match=words) as caught:
        silr.push(place / "model", name)
    assert "\n" not in str(caught.value) and token not in str(caught.value)
    assert ("models", "ada/new") not in on_hub.hub.repositories


def test_a_hub_that_is_not_there(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", "hf_of_ada")
    with pytest.raises(InputError, match=r"^cannot push to ada/x: the hub at http://127.0.0.1:9 does not answer$"):
        silr.push(place / "model", "ada/x")
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(place / "none"))
    with pytest.raises(InputError, match="set HF_TOKEN"):
        silr.push_labels(place / "run", "ada/x")


def test_labels_as_a_dataset_and_back(on_hub: OnHub, place: Path) -> None:
    """What was pushed is refined again, from the hub alone; the new run says which commit it read."""
    options = ("--language", "en", "--push-labels", "ada/labels", "-q")
    done = on_hub("export", "run", *options, cwd=place)
    assert (done.code, done.out, done.err) == (0, "", ""), done
    repository = on_hub.hub.repositories["datasets", "ada/labels"]
    assert repository.private
    before = pd.read_csv(place / "run" / "labels.csv", keep_default_na=False)
    after = pd.read_parquet(io.BytesIO(repository.files["data/train-00000-of-00001.parquet"]))
    assert after["refined_label"].tolist() == before["refined_label"].tolist()
    assert after["refined_score"].dtype == float and after["gold"].notna().sum() == 60
    card = repository.files["README.md"].decode()
    assert metadata_of(card)["license"] == "unknown" and validate_card(card, "dataset") == []
    assert "| `refined_label` | text | the result" in card and "word for word" in card and "60 labels by hand" in card

    address = "hf://datasets/ada/labels"
    refine = ("refine", address, "-o", "again", "--features", "tfidf", "--truth", "truth", "-q")
    assert on_hub(*refine, cwd=place).code == 0
    again = pd.read_csv(place / "again" / "labels.csv", keep_default_na=False)
    assert again["refined_label"].tolist() == before["refined_label"].tolist()
    record = json.loads((place / "again" / "table.json").read_text())
    assert record["table"] == f"{address}@{repository.sha()}"
    page = (place / "again" / "report.html").read_text()
    assert record["table"] in page and str(on_hub.cache) not in page
    assert on_hub("export", "again", "from-hub", "-q", cwd=place).code == 0
    assert metadata_of((place / "from-hub" / "README.md").read_text())["datasets"] == ["ada/labels"]
    assert own_paths(place / "from-hub", place, on_hub.cache) == []


def test_public_labels_are_said_aloud(on_hub: OnHub, place: Path) -> None:
    done = on_hub("export", "run", "--push-labels", "ada/all", "--public", "--license", "cc-by-4.0", cwd=place)
    assert done.code == 0 and "anybody can read the texts" in done.err
    assert not on_hub.hub.repositories["datasets", "ada/all"].private
    for wrong in (
        ("export", "run"),
        ("export", "run", "new", "--public"),
        ("export", "run", "new", "--language", "English"),
    ):
        done = on_hub(*wrong, cwd=place)
        assert done.code == 2 and done.err.count("\n") == 1, done
