"""`silr estimate --dsl`: the columns dsl_CLASS, and a table that is otherwise the same."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from reporting import make_run

from silr import dsl_outcomes
from silr.errors import InputError
from silr.estimates.dsl import write_dsl
from silr.estimates.estimate import estimate
from silr.estimates.evidence import read_evidence
from silr.io.tables import read_table
from silr.refine.record import read_record
from silr.stats.design_based import ClassDesign, DesignBased


@pytest.mark.parametrize("posterior", [True, False])
def test_a_run_gets_the_columns_and_stays_as_it_is(tmp_path: Path, posterior: bool) -> None:
    run = make_run(tmp_path, errors=(0.7, 0.25) if posterior else (0.7, 0.25, 0.15), posterior=posterior)
    before, said = (run / "labels.csv").read_bytes(), []
    shares = estimate(run).shares
    for _ in range(2):  # again: the columns are replaced
        write_dsl(run, None, said.append)
    with (run / "labels.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0][-2:] == ["dsl_negative", "dsl_positive"] and "dsl_negative, dsl_positive" in said[0]
    assert [row[:-2] for row in rows] == list(csv.reader(before.decode().splitlines()))
    kept = [line.rsplit(b",", 2)[0] for line in (run / "labels.csv").read_bytes().splitlines()]
    assert kept == before.splitlines()
    assert estimate(run).shares == shares and read_record(run).problems == []
    outcomes = read_table(run / "labels.csv")["dsl_positive"].astype(float)
    np.testing.assert_allclose(outcomes, dsl_outcomes(run)["dsl_positive"], rtol=1e-5)


def test_regressing_them_is_the_regression_of_power_1(tmp_path: Path) -> None:
    evidence = read_evidence(make_run(tmp_path, errors=(0.7, 0.25), posterior=True))
    outcome = dsl_outcomes(tmp_path / "run")["dsl_positive"].to_numpy()
    x = np.random.default_rng(0).normal(size=len(evidence))
    X = np.column_stack([np.ones_like(x), x])
    made = ClassDesign(X, np.array([], int), np.zeros((2, len(x), 0)), np.array([[0.0], [1.0]]) * np.ones_like(x))
    based = DesignBased(made, evidence.expected, evidence.gold, evidence.weights, evidence.known)
    found = based.fit(1.0)
    assert found is not None
    np.testing.assert_allclose(np.linalg.lstsq(X, outcome, rcond=None)[0], found.value, atol=1e-9)


@pytest.mark.slow
def test_a_table_needs_a_place_and_an_edited_run_too(tmp_path: Path, commands: Any) -> None:
    run = make_run(tmp_path, errors=(0.7, 0.25), posterior=True)
    for source, said in ((tmp_path / "table.csv", "say with -o FILE"), (run, "missing or edited")):
        if source == run:
            (run / "labels.csv").unlink()
        done = commands("estimate", source, "--dsl")
        assert done.code == 2 and said in done.err and done.err.count("\n") == 1
        out = tmp_path / "out.parquet"
        assert commands("estimate", source, "--dsl", "-o", out).code == 0
        assert {"dsl_negative", "dsl_positive"} <= set(read_table(out).columns)
    assert not (run / "labels.csv").exists()
    for options, said in ((("-o", out), "add --dsl"), (("--dsl", "--formula", "positive ~ 1"), "give one of them")):
        done = commands("estimate", run, *options)
        assert done.code == 2 and said in done.err and done.err.count("\n") == 1


def test_without_gold_nothing_is_written(tmp_path: Path) -> None:
    run = make_run(tmp_path, errors=(0.7, 0.25), posterior=True, n_gold=0, theta=[[0.8, 0.2], [0.3, 0.7]])
    before = (run / "labels.csv").read_bytes()
    with pytest.raises(InputError, match="0 gold labels that judge"):
        write_dsl(run, None, print)
    assert (run / "labels.csv").read_bytes() == before


def test_other_columns_of_gold_and_of_labels(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": "words", "gpt": ["a", "b"] * 20, "by_hand": ["a", "b"] * 10 + [""] * 20})
    frame.to_csv(tmp_path / "table.csv", index=False)
    write_dsl(tmp_path / "table.csv", tmp_path / "out.csv", print, "by_hand", ["gpt"])
    assert {"dsl_a", "dsl_b"} <= set(read_table(tmp_path / "out.csv").columns)


def test_a_run_knows_its_columns_and_a_name_may_be_wrong(tmp_path: Path) -> None:
    run = make_run(tmp_path, errors=(0.7, 0.25), posterior=True)
    for options in ({"gold_column": "by_hand"}, {"columns": ["gpt"]}):
        with pytest.raises(InputError, match="knows its own columns"):
            read_evidence(run, **options)  # type: ignore[arg-type]
    (tmp_path / "cut").mkdir()
    with pytest.raises(InputError, match="was cut off"):
        read_evidence(make_run(tmp_path / "cut", errors=(0.7, 0.25), asked=5))
    with pytest.raises(InputError, match=r"rum does not exist; give the folder of a run"):
        read_evidence(tmp_path / "rum")


def test_outcomes_of_a_table_are_the_weighted_shares_in_the_mean() -> None:
    rng = np.random.default_rng(1)
    labels = rng.choice(["a", "b"], 200)
    frame = pd.DataFrame({"text": "words", "llm_label": labels, "gold": [*labels[:50], *([None] * 150)]})
    assert dsl_outcomes(frame).sum(axis=1).to_numpy() == pytest.approx(1)
