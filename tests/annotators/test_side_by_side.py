"""Several LLMs label one table: each adds its columns, and nothing of the others is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from silr import annotate
from silr.annotators.base import Plan, Scored
from silr.annotators.columns import check_name, column, own_columns, score_column
from silr.annotators.table import annotate_file, partial_path
from silr.errors import InputError
from silr.io.annotator_columns import read_annotators
from silr.io.annotator_records import read_records, record_of_features, states_of
from silr.io.corpus import read_table
from silr.label.keys import question_of

TEXTS = ["a lovely film", "a dull film", "lovely", "no"]
CLASSES = ("negative", "positive")


class Keyword:
    """Positive where a word occurs, with hidden states if it is wanted."""

    def __init__(self, word: str, n_features: int = 0, during: object = None) -> None:
        self.word, self.classes, self.n_features, self.during = word, CLASSES, n_features, during

    def plan(self, texts: Sequence[str]) -> Plan:
        return Plan([np.arange(len(texts))], [len(texts)], np.zeros(len(texts), bool))

    def score_batches(self, batches: Sequence[Sequence[str]]) -> Iterator[Scored]:
        for number, texts in enumerate(batches):
            if callable(self.during):
                self.during()
            p = np.array([0.9 if self.word in text else 0.2 for text in texts])
            scores = np.log(np.column_stack([1 - p, p])).astype(np.float32)
            yield number, scores, np.full((len(texts), self.n_features), len(self.word), np.float16)

    def describe(self) -> dict[str, object]:
        return {"kind": "keyword", "word": self.word, "classes": list(CLASSES), "question": f"Is it {self.word}?"}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "in.csv"
    pd.DataFrame({"text": TEXTS, "note": "n"}).to_csv(path, index=False)
    return path


def add(source: Path, output: Path, word: str, name: str = "", **options: object) -> None:
    annotate_file(source, output, Keyword(word, **options), quiet=True, name=name)  # type: ignore[arg-type]


@pytest.mark.parametrize("itself", [True, False])
def test_columns_and_records_of_each(table: Path, tmp_path: Path, itself: bool) -> None:
    out = tmp_path / "out.csv"
    add(table, out, "lovely")
    frame = read_table(out)
    frame["gold"] = ["positive", None, None, None]
    frame.to_csv(out, index=False)
    for name, word in (("gpt4", "film"), ("qwen-3.5", "dull"), ("gpt4", "no")):
        add(out if itself else table, out, word, name)  # the labelled table itself, or the one it was made from
    frame = read_table(out)
    assert set(frame.columns) == {
        *("text", "note", "gold", "llm_label", "llm_score_negative", "llm_score_positive"),
        *("llm_label_gpt4", "llm_score_gpt4_negative", "llm_score_gpt4_positive"),
        *("llm_label_qwen-3.5", "llm_score_qwen-3.5_negative", "llm_score_qwen-3.5_positive"),
    }
    read = read_annotators(frame, out)
    assert dict(zip(read.names, (codes.tolist() for codes in read.codes), strict=True)) == {
        "llm": [1, 0, 1, 0],
        "gpt4": [0, 0, 0, 1],  # the second time replaced the first
        "qwen-3.5": [0, 1, 0, 0],
    }
    assert all(scores is not None for scores in read.scores)
    assert frame["gold"].fillna("").tolist() == ["positive", "", "", ""]
    assert {name: record["word"] for name, record in read_records(out).items()} == {
        **{"": "lovely", "gpt4": "no", "qwen-3.5": "dull"}
    }
    assert json.loads((tmp_path / "out.annotator.json").read_text())["word"] == "lovely"  # where it always was
    add(table, out, "film")  # without a name again: the others stay
    assert read_annotators(read_table(out), out).codes[1].tolist() == [0, 0, 0, 1]
    assert {name: record["word"] for name, record in read_records(out).items()}["gpt4"] == "no"


def test_in_python_too(table: Path) -> None:
    first = annotate(TEXTS, annotator=Keyword("lovely"))
    both = annotate(first, annotator=Keyword("film"), name="b")
    assert both["llm_label"].tolist() == ["positive", "negative", "positive", "negative"]
    assert both["llm_label_b"].tolist() == ["positive", "positive", "negative", "negative"]
    again = annotate(both, annotator=Keyword("no"))
    assert again["llm_label"].tolist() == ["negative"] * 3 + ["positive"] and "llm_score_b_positive" in again


def test_what_is_written_meanwhile_stays(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    add(table, out, "lovely")

    def meanwhile() -> None:
        add(out, out, "film", "other")
        frame = read_table(out)
        frame["gold"] = "positive"
        frame.to_csv(out, index=False)

    add(out, out, "dull", "slow", during=meanwhile)
    frame = read_table(out)
    assert {"gold", "llm_label", "llm_label_other", "llm_label_slow"} <= set(frame.columns)
    assert set(read_records(out)) == {"", "other", "slow"}

    def replaced() -> None:
        pd.DataFrame({"text": ["others"]}).to_csv(out, index=False)

    with pytest.raises(InputError, match="holds other texts than when the annotation began"):
        add(out, out, "dull", "late", during=replaced)
    assert (partial_path(out, "late") / "scores").stat().st_size  # nothing is lost


def test_hidden_states_of_a_second_llm_are_beside_those_of_the_first(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    add(table, out, "lovely", n_features=2)
    add(out, out, "film", "v1.5", n_features=3)
    assert np.load(tmp_path / "out.features.npy").shape == (4, 2)
    assert np.load(tmp_path / "out.v1.5.features.npy").tolist() == [[4] * 3] * 4
    assert states_of(out) == [tmp_path / "out.features.npy", tmp_path / "out.v1.5.features.npy"]
    first, second = (record_of_features(path) for path in states_of(out))
    assert first is not None and first["word"] == "lovely" and "annotators" not in first
    assert second is not None and second["word"] == "film"
    assert record_of_features(tmp_path / "out.v2.features.npy") is None


def test_the_only_llm_may_have_a_name(table: Path, tmp_path: Path) -> None:
    add(table, tmp_path / "out.csv", "lovely", "a")
    assert list(read_records(tmp_path / "out.csv")) == ["a"]
    assert question_of(tmp_path / "out.csv") == "Is it lovely?"


def test_other_texts_are_not_written_over(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    pd.DataFrame({"text": ["another"], "gold": ["positive"]}).to_csv(out, index=False)
    with pytest.raises(InputError, match=r"out.csv holds other texts than .*in.csv: give another --output"):
        add(table, out, "lovely", "a")
    (tmp_path / "new.annotator.json").write_text("[")
    with pytest.raises(InputError, match="cannot be read"):
        add(table, tmp_path / "new.csv", "lovely", "a")


@pytest.mark.parametrize("name", ["a b", "..", "a/b", "ä ö", "-", "a\n"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(InputError, match="letters, digits and the signs"):
        check_name(name, CLASSES, ["text"])


@pytest.mark.parametrize(
    ("name", "classes", "there"),
    [
        ("a", ["b_c", "d"], ["llm_label_a_b", "llm_score_a_b_x", "llm_score_a_b_y"]),  # llm_score_a_b_c
        ("a", ["x", "y"], ["llm_label", "llm_score_a_x", "llm_score_b"]),  # a class a_x of the LLM without name
        ("", ["a_x", "b"], ["llm_label_a", "llm_score_a_x", "llm_score_a_y"]),
        ("a", ["missing", "b"], ["llm_label", "llm_score_c", "llm_score_a_q"]),
    ],
)
def test_names_whose_scores_would_be_those_of_another(name: str, classes: list[str], there: list[str]) -> None:
    with pytest.raises(InputError, match="--name"):
        check_name(name, classes, ["text", *there])


def test_names_of_columns() -> None:
    assert (column("label"), column("missing", "a"), score_column("yes", "a")) == (
        *("llm_label", "llm_missing_a", "llm_score_a_yes"),
    )
    every = ["text", "llm_label", "llm_score_x", "llm_label_a", "llm_score_a_x", "llm_reason_a", "llm_label_a_b"]
    every += ["llm_score_a_b_x", "llm_confidence"]
    assert own_columns(every) == ["llm_label", "llm_score_x", "llm_confidence"]
    assert own_columns(every, "a") == ["llm_label_a", "llm_score_a_x", "llm_reason_a"]
    assert own_columns(every, "a_b") == ["llm_label_a_b", "llm_score_a_b_x"]
    check_name("gpt-4.1_mini", CLASSES, every)
