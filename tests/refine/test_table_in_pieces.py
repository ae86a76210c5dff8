"""A table in pieces gives the run, the labels, the estimates and the draws of the same rows in one file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from command_line import Commands, Result
from pieces import in_pieces, joined
from silr.errors import InputError
from silr.estimates.commands import label_command
from silr.estimates.dsl import write_dsl
from silr.estimates.estimate import estimate
from silr.features import in_parts
from silr.features.tfidf import TfidfFeatures
from silr.io.annotator_records import read_records, write_records
from silr.io.corpus import annotator_path
from silr.label.gold_table import GoldTable
from silr.label.session import Session
from silr.refine.record import read_record
from silr.refine.table import Columns, refine_table
from silr.report.evaluate import evaluate_file
from silr.report.write import write_report
from synthetic import make_corpus

pytestmark = pytest.mark.slow

N, CUTS = 300, [120, 120, 250]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One table in a file and in pieces, one of them without rows and one without gold labels; and features."""
    folder, corpus = tmp_path_factory.mktemp("pieces"), make_corpus(N, n_gold=60, seed=5)
    frame = corpus.table()
    rng = np.random.default_rng(0)
    frame["llm_label_b"] = np.where(rng.random(N) < 0.2, frame["llm_label"].to_numpy()[::-1], corpus.truth)
    sure = np.where(rng.random(N) < 0.5, 0.6, 0.9)
    for name in ("negative", "positive"):
        frame[f"llm_score_{name}"] = np.log(np.where(frame["llm_label"] == name, sure, 1 - sure))
    frame["truth"], frame["party"] = corpus.truth, rng.choice(["left", "right"], N)
    frame["year"] = rng.integers(2020, 2022, N)
    frame.loc[frame.index[250:], "gold"] = None
    frame.to_parquet(folder / "one.parquet", index=False)
    in_pieces(frame, folder / "texts", CUTS)
    in_pieces(frame.assign(gold=None), folder / "unlabelled", CUTS)
    frame.assign(gold=None).to_parquet(folder / "unlabelled.parquet", index=False)
    truth = (corpus.truth == "positive")[:, None]
    np.save(folder / "features.npy", (rng.normal(size=(N, 5)) + 1.5 * truth).astype(np.float16))
    return folder


def refined(folder: Path, table: str, run: Path, **options: Any) -> pd.DataFrame:
    options.setdefault("features", str(folder / "features.npy"))
    options.setdefault("columns", Columns(labels=("llm_label",)))
    refine_table(folder / table, run, **options)
    return joined(run / "labels") if (run / "labels").exists() else pd.read_csv(run / "labels.csv", dtype=str)


CASES: dict[str, dict[str, Any]] = {
    "default": {},
    "tfidf": {"features": "tfidf"},
    "labels alone": {"columns": Columns(labels=("llm_label_b",))},
    "two LLMs": {"columns": Columns(labels=("llm_label", "llm_label_b"), truth="truth")},
    "uu": {"method": "uu", "iterations": 1, "epochs": 3},
    "without gold": {"without": True},
    "without gold, labels alone": {"without": True, "columns": Columns(labels=("llm_label_b",))},
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES)
def test_the_run_is_that_of_one_file(case: str, folder: Path, tmp_path: Path) -> None:
    options = dict(CASES[case])
    name = "unlabelled" if options.pop("without", False) else "texts"
    one = refined(folder, "unlabelled.parquet" if name == "unlabelled" else "one.parquet", tmp_path / "one", **options)
    pieces = refined(folder, name, tmp_path / "pieces", **options)
    assert not (tmp_path / "pieces" / "labels.csv").exists()
    identities = [json.loads((tmp_path / run / "run.json").read_text())["identity"] for run in ("one", "pieces")]
    assert identities[0] == identities[1]
    assert list(pieces.columns) == list(one.columns)
    for column in ("text", "refined_label", "out_of_fold_label"):
        assert pieces[column].tolist() == one[column].tolist()
    for column in ("refined_score", "out_of_fold_score"):
        assert pieces[column].tolist() == one[column].astype(float).tolist()
    record = read_record(tmp_path / "pieces")
    assert record.corpus is not None and record.problems == [] and record.corpus.name == "labels"
    assert write_report(tmp_path / "pieces").exists()


def test_an_equal_run_takes_the_place_of_the_labels(folder: Path, tmp_path: Path) -> None:
    """The same rows in a file, in pieces, and in other pieces: one set of labels each time."""
    frame = pd.read_parquet(folder / "one.parquet")
    other = in_pieces(frame, tmp_path / "other", [30])
    for table, names in (
        (folder / "texts", {"part-0.parquet", "part-1.parquet", "part-2.parquet", "part-3.parquet"}),
        (other, {"part-0.parquet", "part-1.parquet"}),
        (folder / "one.parquet", set()),
        (folder / "texts" / "*.parquet", {f"part-{number}.parquet" for number in range(4)}),
    ):
        refine_table(table, tmp_path / "run", features=str(folder / "features.npy"))
        assert {path.name for path in (tmp_path / "run").glob("labels/*")} == names
        assert (tmp_path / "run" / "labels.csv").exists() == (not names)


def test_estimates_are_those_of_one_file(folder: Path, tmp_path: Path) -> None:
    for source in ("one", "texts"):
        table = folder / (f"{source}.parquet" if source == "one" else source)
        refine_table(table, tmp_path / source, features=str(folder / "features.npy"))
    for one, pieces in ((folder / "one.parquet", folder / "texts"), (tmp_path / "one", tmp_path / "texts")):
        results = [
            estimate(source, ["party", "year"], formula="positive ~ party").to_dict() for source in (one, pieces)
        ]
        for result in results:
            result.pop("name")
            result.pop("label_command", None)
        assert results[0] == results[1]
        scored = [evaluate_file(path, "truth") for path in (folder / "one.parquet", folder / "texts")]
        assert scored[0]["labels"] == scored[1]["labels"]
    write_dsl(tmp_path / "one", None, lambda line: None)
    write_dsl(tmp_path / "texts", None, lambda line: None)
    write_dsl(tmp_path / "texts", tmp_path / "dsl", lambda line: None)
    wanted = pd.read_csv(tmp_path / "one" / "labels.csv")["dsl_positive"].tolist()
    assert joined(tmp_path / "texts" / "labels")["dsl_positive"].tolist() == wanted
    assert joined(tmp_path / "dsl")["dsl_positive"].tolist() == wanted


def test_a_regression_on_very_many_rows_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("silr.estimates.formula.MOST_ROWS", N - 1)
    with pytest.raises(InputError, match="300 rows; a regression here takes at most 299"):
        estimate(folder / "texts", formula="positive ~ party")


def test_features_go_on_after_an_interruption(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts that were read are not read again, and the result is that of a run in one go."""
    options: dict[str, Any] = {"features": "tfidf"}
    whole = refined(folder, "texts", tmp_path / "whole", **options)
    monkeypatch.setattr(in_parts, "EVERY", 100)
    transform, seen = TfidfFeatures.transform, []

    def interrupted(self: TfidfFeatures, texts: list[str]) -> Any:
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(len(texts))
        return transform(self, texts)

    monkeypatch.setattr(TfidfFeatures, "transform", interrupted)
    with pytest.raises(KeyboardInterrupt):
        refined(folder, "texts", tmp_path / "run", **options)
    assert seen == [120, 130]
    monkeypatch.setattr(
        TfidfFeatures, "transform", lambda self, texts: seen.append(len(texts)) or transform(self, texts)
    )
    monkeypatch.setattr(TfidfFeatures, "fit", lambda self, texts: pytest.fail("learned again"))
    again = refined(folder, "texts", tmp_path / "run", **options)
    assert seen == [120, 130, 50]
    pd.testing.assert_frame_equal(again, whole)
    made = [np.load(tmp_path / run / "features" / "features.npy") for run in ("whole", "run")]
    np.testing.assert_array_equal(*made)
    kept = {path.name for path in (tmp_path / "run" / "features").iterdir()}
    assert kept == {"features.npy", "features.texts.safetensors", "tfidf.json", "tfidf.safetensors"}


def labelled(table: Path, output: Path, wanted: int) -> Session:
    """Each text gets the first class, every third the other."""
    session = Session(GoldTable(table, output, label="llm_label"), wanted)
    while session.wants(wanted):
        assert session.current is not None
        session.label(session.current, session.current % 3 == 0)
    session.close()
    return session


def test_the_draw_is_that_of_one_file(folder: Path, tmp_path: Path) -> None:
    labelled(folder / "unlabelled.parquet", tmp_path / "one.parquet", 40)
    labelled(folder / "unlabelled", tmp_path / "out", 25)
    write_records(folder / "unlabelled", {"": {"kind": "api", "model": "m"}})
    session = labelled(folder / "unlabelled", tmp_path / "out", 40)  # goes on
    assert read_records(tmp_path / "out") == read_records(folder / "unlabelled")
    annotator_path(folder / "unlabelled").unlink()
    command = label_command(folder / "unlabelled")
    assert command is not None and command.split()[3:] == ["-o", f"{folder / 'unlabelled'}-labelled"]
    assert (session.began_with, len(session.gold)) == (25, 40)
    one, pieces = pd.read_parquet(tmp_path / "one.parquet"), joined(tmp_path / "out")
    assert pieces["gold"].fillna("").tolist() == one["gold"].fillna("").tolist()
    np.testing.assert_array_equal(pieces["gold_weight"].to_numpy(float, na_value=0), one["gold_weight"].fillna(0))
    assert len(refined(folder, str(tmp_path / "out"), tmp_path / "run")) == N


def refused(result: Result, said: str) -> None:
    assert (result.code, result.err.count("\n")) == (2, 1), result.err
    assert said in result.err


def test_what_cannot_be(folder: Path, tmp_path: Path, commands: Commands) -> None:
    texts = folder / "texts"
    for output, said in ((None, "give -o FOLDER, a new one"), (texts, "is part of"), (texts / "new", "is part of")):
        with pytest.raises(InputError, match=said):
            GoldTable(texts, output)
    refused(commands("label", texts, "--adjudicate", "-o", tmp_path / "out"), "take a table in one file")
    np.save(tmp_path / "short.npy", np.ones((N - 1, 2), np.float32))
    run = ("-o", tmp_path / "run", "--features")
    refused(commands("refine", texts, *run, tmp_path / "short.npy"), "has 299 rows, the table has 300")
    frame = pd.read_parquet(folder / "one.parquet")
    two = in_pieces(frame, tmp_path / "two", [100])
    frame[100:].drop(columns="party").to_parquet(two / "part-1.parquet", index=False)
    refused(commands("refine", two, *run, "tfidf"), "only one of them has the column 'party'")
    broken = in_pieces(frame, tmp_path / "broken", [100])
    (broken / "part-1.parquet").write_bytes((broken / "part-1.parquet").read_bytes()[:-30])
    refused(commands("refine", broken, *run, "tfidf"), "part-1.parquet is not an intact parquet file")
    (tmp_path / "empty").mkdir()
    refused(commands("refine", tmp_path / "empty", *run, "tfidf"), "no .parquet files")
    refused(commands("estimate", tmp_path / "empty"), "is not a run")
