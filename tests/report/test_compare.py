"""LLMs side by side by the gold labels: counted by hand, on tables, and in a run's report."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from pieces import in_pieces
from silr.errors import InputError
from silr.io.annotator_records import write_records
from silr.io.beside import carry
from silr.refine.table import refine_table
from silr.report.compare import compare_file, compare_labels, print_comparison
from silr.report.write import write_report
from silr.stats.intervals import paired_difference

GOLD = np.array([0, 0, 1, 1, 0, -1])
LABELS = {"llm_label": np.array([0, 1, 1, -1, 1, 0]), "llm_label_b": np.array([0, 0, 1, 1, 1, 0])}
WEIGHT = np.array([1.0, 3.0, 1.0, 1.0, 0.0, 2.0])


def test_by_hand() -> None:
    result = compare_labels(LABELS, GOLD, WEIGHT, {"llm_label": {"kind": "api"}, "llm_label_b": {"kind": "local"}}, 2)
    assert result["gold"] == 4  # a weight of 0 trains and does not judge
    assert list(result["labels"]) == ["llm_label_b", "llm_label"]  # the best first
    worse = result["labels"]["llm_label"]
    assert worse["accuracy"] == pytest.approx(2 / 6) and worse["missing"] == 1
    assert worse["macro_f1"] == pytest.approx(
        (2 * 1 / (1 + 4) + 2 * 1 / (2 + 4)) / 2
    )  # weighted: 1 right of 1 and of 4
    assert worse["dollars_a_thousand"] == "unknown" and "dollars_a_thousand" not in result["labels"]["llm_label_b"]
    (pair,) = result["differences"]
    assert (pair["first"], pair["second"], pair["only_first_right"], pair["only_second_right"]) == (
        *("llm_label_b", "llm_label", 2, 0),
    )
    assert pair["difference"] == pytest.approx(4 / 6) and pair["interval"][0] < 4 / 6 < pair["interval"][1] <= 1
    (both,) = result["agreement"]
    assert (both["texts"], both["share"]) == (5, 4 / 5)
    assert both["kappa"] == pytest.approx((0.8 - (2 * 3 + 3 * 2) / 25) / (1 - (2 * 3 + 3 * 2) / 25))
    assert json.loads(json.dumps(result)) == result
    with pytest.raises(InputError, match="no gold label has a weight above 0"):
        compare_labels(LABELS, GOLD, np.zeros(6), {}, 2)


def test_the_interval_of_a_difference_holds() -> None:
    rng = np.random.default_rng(0)
    n, holds = 60, []
    for _ in range(400):
        weight = rng.choice([1.0, 3.0], n)  # of texts drawn with probabilities 1 and 1 / 3: the same law for both
        first, second = rng.random(n) < 0.8, rng.random(n) < 0.7
        low, high = paired_difference(first, second, weight).interval
        holds.append(low <= 0.1 <= high)
    assert 0.92 <= np.mean(holds) <= 0.99


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    truth = np.array(["no", "yes"])[(np.arange(80) % 2)]
    texts = [f"a {'good' if label == 'yes' else 'bad'} thing, number {row}" for row, label in enumerate(truth)]
    frame = pd.DataFrame({"text": texts, "answer": truth, "gold": truth})
    frame.loc[rng.choice(80, 40, replace=False), "gold"] = None
    for column, share in (("llm_label", 0.9), ("llm_label_small", 0.6)):
        frame[column] = np.where(rng.random(80) < share, truth, np.where(truth == "yes", "no", "yes"))
    frame.to_csv(tmp_path / "t.csv", index=False)
    answers = {"texts": 80, "dollars": 0.4}
    write_records(tmp_path / "t.csv", {"": {"kind": "api", "answers": answers}, "small": {"kind": "local"}})
    return tmp_path / "t.csv"


def test_tables(table: Path) -> None:
    result = compare_file(table)
    assert list(result["labels"]) == ["llm_label", "llm_label_small"] and not result["weighted"]
    assert result["labels"]["llm_label"]["dollars_a_thousand"] == pytest.approx(5.0)
    out = io.StringIO()
    print_comparison(result, console=Console(file=out, width=100))
    assert "compared by 40 gold labels of 'gold'" in out.getvalue() and "$5.00" in out.getvalue()
    assert "llm_label minus llm_label_small: +" in out.getvalue() and "they agree on" in out.getvalue()
    frame = pd.read_csv(table)
    carry(table, folder := in_pieces(frame, table.with_name("pieces"), [30]))
    assert {**compare_file(folder), "file": str(table)} == result
    frame["gold_weight"] = 1.0
    frame.rename(columns={"gold": "mine"}).to_csv(table, index=False)
    assert compare_file(table, gold_column="mine")["weighted"]
    with pytest.raises(InputError, match=r"has no gold labels .* give --truth COLUMN"):
        compare_file(table)
    frame[["text", "gold"]].to_csv(table, index=False)
    with pytest.raises(InputError, match="nothing to evaluate"):
        compare_file(table)


def test_a_run_has_the_section_and_its_refined_label_is_not_judged(table: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    refine_table(table, run, features="tfidf")
    result = compare_file(run / "labels.csv")
    assert set(result["labels"]) == {"llm_label", "llm_label_small", "out_of_fold_label"}
    assert result["not_judged"] == ["refined_label"]
    assert result["labels"]["llm_label"]["dollars_a_thousand"] == pytest.approx(5.0)  # by the table's record
    page = write_report(run).read_text()
    assert "The LLMs side by side" in page and "$5.00" in page and "llm_label minus llm_label_small" in page
    one = pd.read_csv(table).drop(columns="llm_label_small")
    one.to_csv(table, index=False)
    refine_table(table, tmp_path / "one", features="tfidf")
    assert "side by side" not in write_report(tmp_path / "one").read_text()
