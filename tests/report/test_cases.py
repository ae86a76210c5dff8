"""Runs that did not go well, or lack something: what the page then says, and what it leaves out."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from reporting import Page, make_run

from silr import LabelRefiner
from silr.errors import InputError
from silr.refine.record import read_record
from silr.report.write import write_report
from synthetic import Corpus

STOPPED = "the labels 'negative' and 'positive' cannot be told apart: too little signal"


def page_of(run: Path, **options: str) -> Page:
    page = Page(write_report(run, **options))
    for words in ("None", "nan", "{{", "{%"):
        assert words not in "".join(page.by_id.values())
    return page


def summary(page: Page) -> str:
    return " ".join(page.by_id["summary"].split())


def test_a_run_that_went_well(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path))
    assert page.cautions == {} and "Nothing stood out" in summary(page)
    assert ("div", {"class": "good"}) in page.tags
    assert "No true labels were used" in page.by_id["again"]
    assert "True" not in page.tables["changed-texts"][0]
    assert "Right, true" not in page.table("The same in numbers. Signal")[0]


def test_the_same_bytes_twice(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    once = write_report(run, tmp_path / "one.html").read_bytes()
    assert write_report(run, tmp_path / "two.html").read_bytes() == once
    moved = shutil.move(run, tmp_path / "other")
    assert write_report(moved, tmp_path / "three.html").read_bytes() == once


def test_stopped_early(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path, stopped=STOPPED, errors=(0.7, 0.25, 0.2, 0.5)))
    words = page.cautions["The run stopped after iteration 3"]
    assert STOPPED[1:] in words and words[0] == "T" and "The labels of iteration 2 are the result" in words
    rows = page.table("The same in numbers. Signal")
    assert [row[0] for row in rows[1:]] == ["the LLM", "iteration 1", "iteration 2 result", "iteration 3"]
    assert "The run was cut off" not in page.cautions


def test_stopped_at_once(tmp_path: Path) -> None:
    """`silr refine` refuses such a run; the page says what is known."""
    page = page_of(make_run(tmp_path, stopped=STOPPED, errors=(0.7, 0.5), finished=False))
    assert "nothing was refined" in page.cautions["The run stopped after iteration 1"]
    assert "nothing was refined" in summary(page) and "keeps the LLM's labels" in summary(page)
    assert not {"labels", "changed", "unsure", "calibration"} & page.by_id.keys()


def test_cut_off_half_way(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path, asked=5, errors=(0.7, 0.25, 0.15), finished=False))
    assert page.cautions["The run was cut off"].startswith("2 of 5 iterations are finished")
    assert len(page.tables["changed-texts"]) > 20  # from the table that was refined


def test_missing_llm_labels(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path, missing=40))
    assert "40 texts (10.0%) have no label of the LLM" in page.cautions
    rows = page.table("Texts by LLM label")
    assert rows[3][0] == "no label" and rows[3][-1] == "40"
    assert sum(int(row[-1].replace(",", "")) for row in rows[1:-1]) == 400
    assert all(row[2] != "\u2013" for row in page.tables["changed-texts"][1:])
    assert ", and 40 new" in summary(page)


def test_given_shares_instead_of_gold(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path, n_gold=0, theta=[[0.9, 0.1], [0.3, 0.7]], errors=(0.7, 0.2)))
    assert "is unknown" in page.cautions["No gold labels"]
    assert "given shares of right labels" in summary(page) and "unknown without gold labels" in summary(page)
    assert "There are no gold labels to compare the scores with" in page.by_id["calibration"]
    assert "--theta &#39;0.9,0.1;0.3,0.7&#39;" in page.source or "--theta '0.9,0.1;0.3,0.7'" in page.by_id["again"]
    assert page.table("The same in numbers. Signal")[2][1] == "unknown"
    assert ("div", {"class": "good"}) not in page.tags
    assert "accuracy-t" not in page.by_id and "shares-t" in page.by_id  # one point is no chart


@pytest.mark.parametrize("K", [3, 12, 30])
def test_more_classes(tmp_path: Path, K: int) -> None:
    classes = [f"class {number:02}" for number in range(K)]
    page = page_of(make_run(tmp_path, 3000, classes, n_gold=300))
    assert f"{K} classes" in summary(page)
    assert len(page.table("By class")) == 1 + K
    if K <= 12:
        rows = page.table("Texts by LLM label")
        assert len(rows) == K + 2 and rows[0][1:-1] == classes
    else:
        rows = page.table("The most frequent changes")
        counts = [int(row[2].replace(",", "")) for row in rows[1:]]
        assert counts == sorted(counts, reverse=True) and all(row[0] != row[1] for row in rows[1:])
    assert len(page.source) < 1_000_000


def test_the_default_method_has_its_own_columns(tmp_path: Path) -> None:
    """No signal, no epochs, no risk, no iterations: it has none."""
    page = page_of(make_run(tmp_path, errors=(0.7, 0.1), posterior=True))
    rows = page.table("The same in numbers.")
    assert [row[0] for row in rows] == ["Labels of", "the LLM", "refined result"]
    assert rows[0] == ["Labels of", "Right, estimated (95%)", "Changed"]
    said = summary(page)
    assert "The refined labels are better: by 100 gold labels" in said and "iterations" not in said
    assert ("div", {"class": "good"}) in page.tags
    facts = dict(page.tables["Settings"])
    assert "loss" not in facts and "hidden_units" not in facts and "leak" not in facts
    assert page.tables["Seeds and split"] == [["seed", "3"]]
    assert "theta" not in page.by_id["iterations"]


@pytest.mark.parametrize("errors", [(0.4, 0.19), (0.3, 0.4)])
def test_nothing_is_green_unless_it_is_better(tmp_path: Path, errors: tuple[float, float]) -> None:
    page = page_of(make_run(tmp_path, errors=errors, posterior=True))
    assert ("div", {"class": "good"}) not in page.tags
    words = page.cautions.get("No gain can be shown") or page.cautions["The refined labels look worse"]
    assert words.startswith("The result is the refined labels")
    assert summary(page).count(words) == 1  # said once


def test_no_gold_labels_no_columns_of_estimates(tmp_path: Path) -> None:
    run = make_run(tmp_path, n_gold=0, theta=[[0.9, 0.1], [0.3, 0.7]], errors=(0.7, 0.2), posterior=True)
    page = page_of(run)
    assert "Without gold labels nobody can tell" in summary(page)
    assert page.table("The same in numbers.")[0] == ["Labels of", "Right, estimated (95%)", "Changed"]


@pytest.mark.parametrize(("K", "maps"), [(4, 0), (5, 2), (45, 2)])
def test_many_classes_are_a_heat_map(tmp_path: Path, K: int, maps: int) -> None:
    classes = [f"class {number:02}" for number in range(K)]
    page = page_of(make_run(tmp_path, 1500, classes, n_gold=200, errors=(0.7, 0.1), posterior=True))
    assert len([name for name in page.by_id if name in ("heat-0-t", "heat-1-t")]) == maps
    assert ("sets-t" in page.by_id) is (maps == 0)
    cells = [given for tag, given in page.tags if tag == "rect" and str(given.get("class")).startswith("cell ")]
    assert len(cells) == maps * min(K, 40) ** 2
    if K == 5:
        priors = read_record(tmp_path / "run").best.priors
        assert priors is not None
        assert cells[K * K]["class"] == f"cell c{round(10 * priors.theta[0, 0])}"
    if K == 45:
        assert any(cell["class"] == "cell cnone" for cell in cells)  # no gold label there


def test_a_column_with_the_truth(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    page = page_of(run, truth="answer")
    assert "column answer, which only scores" in summary(page)
    assert "the column answer only scored" in " ".join(page.by_id["again"].split())
    assert "True" in page.tables["changed-texts"][0]
    assert "Right, by true labels" in page.table("The same in numbers, with")[0]
    with pytest.raises(InputError, match="has no column 'nothing'"):
        write_report(run, truth="nothing")
    with pytest.raises(InputError, match="outside the classes"):
        write_report(run, truth="text")


def test_truth_that_was_given_to_refine(tmp_path: Path) -> None:
    assert "column answer, which only scores" in summary(page_of(make_run(tmp_path, truth="answer")))


def test_the_table_has_moved(tmp_path: Path) -> None:
    """A finished run has its texts in labels.csv; one that was cut off needs the table."""
    run = make_run(tmp_path)
    (tmp_path / "table.csv").rename(tmp_path / "elsewhere.csv")
    page = page_of(run)
    assert page.cautions == {} and "changed-texts" in page.tables
    assert ["table today", "no longer there"] in page.tables["Input"]
    (run / "labels.csv").unlink()
    page = page_of(run)
    words = page.cautions["The texts cannot be shown"]
    assert "labels.csv" in words and "table.csv is no longer where it was" in words
    assert "changed-texts" not in page.tables and "gold labels are not at hand" in page.by_id["calibration"]
    with pytest.raises(InputError, match="no truth column 'answer'"):
        write_report(run, truth="answer")


def test_the_table_was_changed(tmp_path: Path) -> None:
    run = make_run(tmp_path, finished=False)
    with (tmp_path / "table.csv").open("a") as file:
        file.write("one more,positive,,,positive\n")
    page = page_of(run)
    assert "table.csv was changed since it was refined" in page.cautions["The texts cannot be shown"]
    assert ["table today", "changed since it was refined"] in page.tables["Input"]


def test_labels_csv_was_edited(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    lines = (run / "labels.csv").read_text().splitlines(keepends=True)
    (run / "labels.csv").write_text("".join([lines[0], *lines[5:]]))
    assert "changed-texts" in page_of(run).tables  # the table is as it was
    (tmp_path / "table.csv").unlink()
    assert "labels.csv has other rows or LLM labels" in page_of(run).cautions["The texts cannot be shown"]


def test_gold_labels_were_added_since(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    lines = (run / "labels.csv").read_text().splitlines(keepends=True)
    number = next(number for number, line in enumerate(lines) if ",,," in line)
    lines[number] = lines[number].replace(",,,", ",positive,2.0,", 1)
    (run / "labels.csv").write_text("".join(lines))
    assert "has 101 gold labels now" in page_of(run).cautions["The gold labels have changed since"]


def test_a_run_made_in_python(tmp_path: Path, corpus: Corpus) -> None:
    refiner = LabelRefiner.from_options(iterations=2, method="uu", epochs=5, run=tmp_path / "run", device="cpu")
    refiner.fit(corpus.features, corpus.llm_labels, corpus.gold, gold_weight=corpus.gold_weight, truth=corpus.truth)
    page = page_of(tmp_path / "run")
    assert "made in Python" in page.cautions["The texts cannot be shown"]
    assert "LabelRefiner(" in page.by_id["again"] and "iterations=2" in page.by_id["again"]
    true = (refiner.out_of_fold_labels_ == corpus.truth).mean()
    assert page.table("The same in numbers. Signal")[-1][2] == f"{true:.1%}"
    assert "Truth only scored" in page.by_id["again"]


def test_texts_without_words(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path, texts=["", "  \n"] * 50, errors=(0.6, 0.1)))
    shown = [row[1] for row in page.tables["changed-texts"]]
    assert shown.count("(empty text)") >= 1
    assert "(empty text)" not in [row[1] for row in page.tables["unsure-texts"]]


@pytest.mark.parametrize(
    ("options", "title", "words"),
    [
        ({"n_gold": 20}, "Only 20 gold labels", "rough"),
        ({"errors": (0.4, 0.25, 0.38)}, "The LLM's labels are the result", "would be right"),
        ({"errors": (0.7, 0.3)}, "No gain can be shown", "100 gold labels cannot tell"),
        ({"errors": (0.98, 0.47), "seed": 1}, "The labels may say nothing", "may mean the same"),
        ({"errors": (0.98, 0.47)}, "Weak signal", "little to learn from"),
    ],
)
def test_cautions(tmp_path: Path, options: dict[str, object], title: str, words: str) -> None:
    assert words in page_of(make_run(tmp_path, **options)).cautions[title]


def test_worse_by_the_truth(tmp_path: Path) -> None:
    run = make_run(tmp_path, errors=(0.5, 0.3, 0.1))
    frame = pd.read_csv(run / "labels.csv", keep_default_na=False)
    frame["other"] = np.where(frame["gold"] == "", frame["llm_label"], frame["answer"])
    frame.to_csv(run / "labels.csv", index=False)
    page = page_of(run, truth="other")
    assert ("div", {"class": "good"}) not in page.tags  # nothing green above it
    assert "of the LLM's" in page.cautions["By the truth the refined labels are not better"]


def test_shrinking_and_vanished_classes(tmp_path: Path) -> None:
    def shrink(number: int, labels: np.ndarray, left: tuple[float, ...]) -> np.ndarray:
        return np.where(np.arange(len(labels)) % 100 < 100 * left[number], labels, 1)

    falling = make_run(tmp_path / "a", relabel=lambda number, labels: shrink(number, labels, (1, 1, 0.7, 0.5)))
    words = page_of(falling).cautions["Shrinking in every iteration"]
    assert words.startswith("negative: ") and "positive" not in words

    def lose(number: int, labels: np.ndarray) -> np.ndarray:
        return np.where((labels == 0) & (number == 3), 2, labels)

    gone = make_run(tmp_path / "b", classes="abc", relabel=lose)
    assert "a: " in page_of(gone).cautions["Nearly vanished"]
    assert "Classes with hardly any gold label" in page_of(gone).cautions


def test_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a run"):
        write_report(tmp_path)
    run = make_run(tmp_path, errors=(0.3,), finished=False)
    with pytest.raises(InputError, match="has no finished iteration"):
        write_report(run)


@pytest.mark.parametrize("content", ["{", "[]", '{"table": "../table.csv", "sha256": "0", "features": "tfidf"}'])
def test_a_damaged_table_record(tmp_path: Path, content: str) -> None:
    run = make_run(tmp_path)
    (run / "table.json").write_text(content)
    assert "table.json of the run is damaged" in page_of(run).cautions["The texts cannot be shown"]
    with pytest.raises(InputError, match=r"no truth column 'answer': table\.json of the run is damaged"):
        write_report(run, truth="answer")
