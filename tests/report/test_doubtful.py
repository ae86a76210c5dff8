"""Gold labels to look at again, of runs of every method: in the report, at the end of `silr refine`, to decide."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from reporting import Page

from silr.errors import InputError
from silr.label.doubts import doubtful_texts
from silr.label.gold_table import GoldTable
from silr.label.review import Review
from silr.label.review_columns import ReviewColumns
from silr.refine.doubtful import doubtful_line, unseen_scores
from silr.refine.iteration import Iteration, Kind, Notes
from silr.refine.refinement import Refinement
from silr.refine.table import refine_table
from silr.report.write import write_report
from synthetic import Corpus, make_corpus

UU: dict[str, Any] = {"method": "uu", "iterations": 1, "epochs": 60, "learning_rate": 0.02}


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    """Two gold labels of 60 are wrong; the LLM says so, too."""
    corpus = make_corpus(300, n_gold=60, seed=4)
    agree = [row for row in np.flatnonzero(corpus.gold != None) if corpus.llm_labels[row] == corpus.truth[row]]  # noqa: E711
    for row in agree[:2]:
        corpus.gold[row] = "negative" if corpus.truth[row] == "positive" else "positive"
    return corpus


def wrong_rows(corpus: Corpus) -> set[int]:
    return {row for row, label in enumerate(corpus.gold) if label is not None and label != corpus.truth[row]}


def refined(corpus: Corpus, folder: Path, **options: Any) -> tuple[Path, Path]:
    table = corpus.write(folder)
    refine_table(table, folder / "run", device="cpu", **options)
    return table, folder / "run"


@pytest.fixture(scope="module")
def made(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the table and a run of the default method."""
    folder = tmp_path_factory.mktemp("made")
    refined(corpus, folder, features="tfidf")
    return folder


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> tuple[Path, Path]:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path / "table.csv", tmp_path / "run"


def doubts(table: Path, run: Path) -> tuple[Review, list[int]]:
    read = GoldTable(table, rounds=True)
    columns = ReviewColumns(read, "text", adjudicated=False)
    found = doubtful_texts(read, columns, run)
    return Review(read, columns, found, "again"), [doubt.row for doubt in found]


@pytest.mark.parametrize("options", [None, UU, {**UU, "method": "paper"}], ids=["silr", "uu", "paper"])
def test_report_page_and_line_tell_the_same(
    options: dict[str, Any] | None, corpus: Corpus, tmp_path: Path, made: Path
) -> None:
    table, run = (made / "table.csv", made / "run") if options is None else refined(corpus, tmp_path, **options)
    review, rows = doubts(table, run)
    review.close()
    assert 1 <= len(rows) <= 6 and all(corpus.gold[row] is not None for row in rows)
    page = Page(write_report(run))
    listed = page.tables["doubtful-texts"]
    assert [int(row[0]) - 1 for row in listed[1:]] == rows
    assert listed[1][1] == corpus.texts[rows[0]] and listed[1][2] == corpus.gold[rows[0]] != listed[1][5]
    assert "silr label ../table.csv --again ." in page.by_id["doubtful"]
    line = doubtful_line(run)
    assert line is not None and f"--again {run}" in line and ("1 gold label." in line or f" {len(rows)} " in line)
    if options is None:
        assert set(rows) & wrong_rows(corpus)


def test_what_a_person_keeps_or_changes_is_not_listed_again(copied: tuple[Path, Path]) -> None:
    table, run = copied
    review, rows = doubts(table, run)
    first = review.state()
    assert first["row"] == rows[0] and first["said"][first["present"]]["who"][0] == "the gold label"
    assert sum("the LLM" in each["who"] for each in first["said"]) == 1
    review.label(rows[0], first["present"])
    review.close()
    assert rows[0] not in doubts_of(table, run)
    page = Page(write_report(run))
    assert f"{rows[0] + 1}" not in [row[0] for row in page.tables.get("doubtful-texts", [])[1:]]
    frame = pd.read_csv(table)
    frame.loc[rows[0], "gold"] = {"negative": "positive", "positive": "negative"}[frame.gold[rows[0]]]
    frame.to_csv(table, index=False)
    assert rows[0] not in doubts_of(table, run)  # now all else agrees


def doubts_of(table: Path, run: Path) -> list[int]:
    review, rows = doubts(table, run)
    review.close()
    return rows


def test_the_votes_of_persons_count(copied: tuple[Path, Path]) -> None:
    """A label that three persons gave is not doubted as easily as that of one."""
    table, run = copied
    rows = doubts_of(table, run)
    frame = pd.read_csv(table)
    frame.assign(vote_ann=frame.gold, vote_ben=frame.gold, vote_cleo=frame.gold).to_csv(table, index=False)
    assert len(doubts_of(table, run)) < len(rows)


@pytest.mark.filterwarnings("ignore:there are no gold labels")
def test_gold_labels_that_came_after_a_run_without_any(corpus: Corpus, tmp_path: Path) -> None:
    frame = corpus.table().drop(columns=["gold", "gold_weight"])
    frame.to_csv(tmp_path / "table.csv", index=False)
    refine_table(tmp_path / "table.csv", tmp_path / "run")
    assert doubtful_line(tmp_path / "run") is None
    assert "doubtful-texts" not in Page(write_report(tmp_path / "run")).tables
    table = corpus.write(tmp_path)
    assert isinstance(doubts_of(table, tmp_path / "run"), list)


def test_other_texts_and_no_run(corpus: Corpus, copied: tuple[Path, Path], tmp_path: Path) -> None:
    table, run = copied
    other = corpus.write(tmp_path, "other.csv", text=[f"{text}!" for text in corpus.texts])
    with pytest.raises(InputError, match="a run of other texts"):
        doubts(other, run)
    with pytest.raises(InputError, match="is not a run"):
        doubts(table, tmp_path)


def test_whose_probabilities_never_saw_the_gold_labels() -> None:
    """A model that was fine-tuned has learned from them; the posterior under it has not."""

    def iterations(*kinds: Kind) -> Refinement:
        made = [
            Iteration(number, np.zeros(1, np.int16), np.full((1, 2), number, np.float32), None, Notes(kind))
            for number, kind in enumerate(kinds)
        ]
        return Refinement(made, ["a", "b"])

    for kinds, number in (
        (("llm", "posterior"), 1),
        (("llm", "posterior", "tuned"), 1),
        (("llm", "iteration", "iteration"), 2),
    ):
        scores = unseen_scores(iterations(*kinds))
        assert scores is not None and scores[0, 0] == number
    assert unseen_scores(iterations("llm")) is None
    stopped = iterations("llm", "iteration", "iteration")
    stopped.iterations[-1] = stopped.iterations[-1].with_notes(stopped="no signal")
    scores = unseen_scores(stopped)
    assert scores is not None and scores[0, 0] == 1
