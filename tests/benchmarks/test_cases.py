"""The benchmark of all cases: strong LLMs, one or several; what it measures, keeps and reports."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import compare
from case_report import Results, few_gold, report
from cases import Case, find_cases
from feature_cache import kept, sentence_embeddings
from llm_rivals import confusion, dawid_skene, llm, majority_vote
from methods import METHODS, Gold
from scores import calibration_error, paired, score
from synthetic import make_corpus
from tables import Split, draw_gold, split
from tests.benchmarks.test_benchmarks import run_compare

NOBODY: Any = None
RIGHT = {"good": 0.8, "poor": 0.4}  # shares of texts that two LLMs know; the others get any label


def write_strong(folder: Path, classes: tuple[str, ...] = ("no", "yes"), n: int = 160) -> Path:
    """A table with the labels of two LLMs, one of which leaves some texts out."""
    corpus = make_corpus(n, classes, seed=3)
    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {}
    for name, right in RIGHT.items():
        said = np.where(rng.random(n) < right, corpus.truth, rng.permutation(corpus.truth)).astype(object)
        said[:5] = None if name == "poor" else said[:5]
        columns[f"llm_label_{name}"] = said
    (folder / "strong").mkdir(parents=True, exist_ok=True)
    path = folder / "strong" / "talk.csv.gz"
    pd.DataFrame({"text": corpus.texts, "truth": corpus.truth, **columns}).to_csv(path, index=False)
    return path


def simulated(n: int = 600, n_classes: int = 3) -> Split:
    """Labels of three LLMs whose errors are independent, and features of noise."""
    rng = np.random.default_rng(0)
    truth = rng.integers(n_classes, size=n)
    votes = [np.where(rng.random(n) < right, truth, rng.integers(n_classes, size=n)) for right in (0.8, 0.7, 0.3)]
    nothing = np.empty((0, 4)), np.empty((0, 3), dtype=int)
    features, llms = (rng.normal(size=(n, 4)), nothing[0]), (np.column_stack(votes), nothing[1])
    names = [f"class {k}" for k in range(n_classes)]
    return Split(names, ([""] * n, []), features, None, llms, (truth, np.empty(0, dtype=int)), 0, has_dense=False)


def right(part: Split, labels: Any) -> float:
    return float((labels == part.truth[0]).mean())


# --- rivals -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("short")
def test_strong_tables_end_to_end(tmp_path: Path) -> None:
    """Rivals and silr's three methods, on labels alone, of one LLM or several."""
    write_strong(tmp_path)
    pytest.importorskip("crowdkit")
    methods = ["LLM", "confusion", "majority vote", "Dawid-Skene", "Dawid-Skene, gold labels", "gold only: embeddings"]
    methods += ["stack", "CCP", "UU, prior matched", "robust UU (paper)", "silr"]
    options = ["--groups", "strong", "several", "--methods", *methods]
    found = run_compare(tmp_path, tmp_path / "cache", *options)
    single = {f"talk.{name}.{features}" for name in RIGHT for features in ("minilm", "tfidf")}
    assert found["LLM"].keys() == found["stack"].keys() == found["silr"].keys() == single | {"talk.all.minilm"}
    assert found["confusion"].keys() == found["CCP"].keys() == single
    assert found["gold only: embeddings"].keys() == {case for case in found["LLM"] if case.endswith("minilm")}
    assert found["Dawid-Skene, gold labels"].keys() == found["majority vote"].keys() == {"talk.all.minilm"}
    for case in single:
        assert found["LLM"][case] == found["LLM"][case.replace("minilm", "tfidf")]
        assert found["stack"][case] > found["LLM"][case] - 0.03
        assert found["silr"][case] > found["LLM"][case] - 0.03


def test_a_strong_table_is_all_corpus_and_a_missing_label_is_wrong(tmp_path: Path) -> None:
    write_strong(tmp_path, ("1", "2", "10"))
    poor = next(case for case in find_cases(tmp_path, ["strong"], None) if case.name == "talk.poor.tfidf")
    part = split(poor, 4)
    assert part.classes == ["1", "2", "10"] and part.scores is None
    assert len(part.texts[0]) == 160 and not part.texts[1] and len(part.features[1]) == 0
    assert (part.llm[0] == -1).sum() == 5
    gold, weights = draw_gold(part, 50)
    assert not (gold[part.llm[0] == -1] >= 0).any()
    assert weights[gold >= 0].sum() == pytest.approx(155)
    said = llm(part, Gold(gold, weights))[0].labels[0]
    assert score(part.truth[0], said)["accuracy"] == (said == part.truth[0]).mean()


@pytest.mark.slow
def test_dawid_skene_beats_the_worst_of_three_and_so_do_votes() -> None:
    pytest.importorskip("crowdkit")
    part = simulated()
    gold = Gold(*draw_gold(part, 60))
    worst, best = min(right(part, each) for each in part.llm[0].T), max(right(part, each) for each in part.llm[0].T)
    for method in (dawid_skene(False), dawid_skene(True), majority_vote):
        (said,) = method(part, gold)
        assert right(part, said.labels[0]) > worst + 0.3
        assert said.probabilities is not None
        np.testing.assert_allclose(said.probabilities[0].sum(axis=1), 1, atol=1e-6)
    assert right(part, dawid_skene(True)(part, gold)[0].labels[0]) > best - 0.02
    assert right(part, llm(part, gold)[0].labels[0]) == best
    held = dawid_skene(True)(part, gold)[0].labels[0][gold.rows]
    assert (held == gold.labels[gold.rows]).all()


def test_the_confusion_is_put_right_by_weighted_gold_labels() -> None:
    """By hand: "0" is 3 parts class 1 to 1 part class 0; the class shares are 1/3 and 2/3."""
    said, weights = np.array([0, 0, 1, 1, 0, -1]), np.array([10.0, 30.0, 10.0, 10.0, np.nan, np.nan])
    gold = Gold(np.array([0, 1, 0, 1, -1, -1]), weights)
    nothing = np.empty(0, dtype=int)
    part = Split(["a", "b"], NOBODY, NOBODY, None, (said, nothing), NOBODY, 0)
    probabilities = confusion(part, gold)[0].probabilities
    assert probabilities is not None
    expected = [(2 * 0.25 + 1 / 3) / 3, (2 * 0.5 + 1 / 3) / 3, 1 / 3]
    np.testing.assert_allclose(probabilities[0][[0, 2, 5], 0], expected)
    assert confusion(part, gold)[0].labels[0].tolist() == [1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("n_llms", [1, 2])
def test_the_stack_hears_the_llm_among_hundreds_of_columns(n_llms: int) -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(2, size=800)
    said = np.where(rng.random((2, 800)) < 0.9, truth, 1 - truth).T
    llms = said if n_llms == 2 else said[:, 0]
    X = rng.normal(size=(800, 300))
    pairs = [(each[:700], each[700:]) for each in (X, llms, truth)]
    part = Split(["a", "b"], NOBODY, pairs[0], None, pairs[1], pairs[2], 0, has_dense=False)
    gold = Gold(*draw_gold(part, 100))
    stack, alone = (METHODS[name].run(part, gold)[0] for name in ("stack", "gold only: both"))
    assert right(part, stack.labels[0]) > 0.86 > 0.7 > right(part, alone.labels[0])
    assert (stack.labels[1] == part.truth[1]).mean() > 0.8


def test_setfit_learns_from_a_few_texts() -> None:
    pytest.importorskip("setfit")
    from setfit_rival import setfit

    kinds = ["The meal was {}, a {} evening.", "A {} film, {} from the first minute."]
    words = {0: ["awful", "dreadful", "horrible", "terrible"], 1: ["lovely", "wonderful", "superb", "delightful"]}
    texts = [kind.format(a, b) for k in (0, 1) for kind in kinds for a in words[k] for b in words[k]]
    truth = np.repeat([0, 2], len(texts) // 2)
    gold = np.full(len(texts), -1)
    gold[::4] = truth[::4]
    part = Split(["a", "b", "c"], (texts, []), NOBODY, None, NOBODY, NOBODY, 0)
    (said,) = setfit(part, Gold(gold, NOBODY), pairs=1)
    assert said.probabilities is not None and said.probabilities[0].shape == (64, 3)
    assert (said.labels[0] == truth).mean() > 0.9


# --- measures ---------------------------------------------------------------------------------------------------------


def test_calibration_error_by_hand() -> None:
    """Two bins: confidence .6 and .9, of which 1 of 2 and 1 of 1 are right; on the edge .5 it is the lower bin."""
    p = np.array([[0.6, 0.4], [0.4, 0.6], [0.1, 0.9]])
    assert calibration_error(np.array([0, 0, 1]), p, bins=4) == pytest.approx((2 * abs(0.5 - 0.6) + 0.1) / 3)
    assert calibration_error(np.array([0, 1]), np.array([[0.5, 0.5], [0.5, 0.5]]), bins=2) == pytest.approx(0)
    assert calibration_error(np.array([0, 1]), np.eye(2)) == 0


def test_log_loss_by_hand_and_labels_alone_have_none() -> None:
    truth, labels = np.array([0, 1, 1]), np.array([0, 1, -1])
    found = score(truth, labels, np.array([[0.5, 0.5], [0.2, 0.8], [1.0, 0.0]]))
    assert found["log_loss"] == pytest.approx(-(np.log(0.5) + np.log(0.8) + np.log(1e-6)) / 3)
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["macro_f1"] == pytest.approx((1 + 2 / 3) / 2)
    assert set(score(truth, labels)) == {"accuracy", "macro_f1"}


def test_paired_standard_error_by_hand() -> None:
    mean, error = paired([0.8, 0.7, 0.9], [0.7, 0.7, 0.7])
    assert mean == pytest.approx(0.1) and error == pytest.approx(0.1 / np.sqrt(3))
    assert np.isnan(paired([0.8], [0.7])[1])


# --- what is kept -----------------------------------------------------------------------------------------------------


def test_what_is_there_is_not_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And two processes that add to one file lose nothing of each other."""
    monkeypatch.setattr(compare, "RESULTS", tmp_path)
    case = Case("talk.good.minilm", tmp_path, ("llm_label_good",), "minilm", "strong")
    options = argparse.Namespace(seeds=2, gold=[100], methods=["LLM", "stack", "threshold"], again=[], quick=False)

    def left() -> list[tuple[str, int]]:
        found = compare.read_results([case], options)
        return [(method, seed) for _, method, seed, _ in compare.missing(found, [case], options)]

    assert left() == [("LLM", 0), ("stack", 0), ("LLM", 1), ("stack", 1)]  # a threshold needs scores
    compare.keep_cell(case, (100, "LLM", 0), {"corpus": {"accuracy": 0.5}})
    stale = json.loads((tmp_path / "talk.good.minilm.json").read_text())
    compare.keep_cell(case, (100, "stack", 1), {"corpus": {"accuracy": 0.6}})
    assert left() == [("stack", 0), ("LLM", 1)]
    kept_now = json.loads((tmp_path / "talk.good.minilm.json").read_text())
    assert kept_now["cells"]["100"]["LLM"] == stale["cells"]["100"]["LLM"]
    assert (kept_now["group"], kept_now["features"]) == ("strong", "minilm")
    options.again = ["LLM"]
    assert left() == [("LLM", 0), ("stack", 0), ("LLM", 1)]
    options.quick = True
    assert len(left()) == 4


@pytest.mark.slow
def test_features_are_computed_once(tmp_path: Path) -> None:
    calls: list[int] = []

    def compute() -> dict[str, Any]:
        calls.append(1)
        return {"corpus": np.eye(2)}

    for texts in (["a", "b"], ["a", "b"], ["b", "a"]):
        np.testing.assert_array_equal(kept(tmp_path, "kind", [texts], compute)["corpus"], np.eye(2))
    assert len(calls) == 2
    texts = ["one text", "another", "one text"]
    first, again = sentence_embeddings(texts, tmp_path), sentence_embeddings(texts, tmp_path)
    np.testing.assert_array_equal(first, again)
    assert first.shape == (3, 384) and (first[0] == first[2]).all()


# --- the report -------------------------------------------------------------------------------------------------------


def runs(*values: float | str, **more: Any) -> dict[str, dict[str, Any]]:
    """Accuracies by seed; a word is a refusal."""
    return {
        str(seed): {"refused": value} if isinstance(value, str) else {"corpus": {"accuracy": value}, **more}
        for seed, value in enumerate(values)
    }


def results(name: str = "talk.good.minilm", **methods: dict[str, dict[str, Any]]) -> Results:
    return Results(name, "strong", "minilm", {compare_name(key): value for key, value in methods.items()})


def compare_name(key: str) -> str:
    names = {"gold": "gold only: both", "uu": "UU, prior matched", "paper": "robust UU (paper)", "setfit": "SetFit"}
    return names.get(key, key)


def test_the_best_rival_is_picked_by_its_mean_over_all_draws() -> None:
    case = results(
        LLM=runs(0.70, 0.72, 0.71),
        stack=runs(0.8, 0.6, 0.7),
        gold=runs(0.9, 0.9, "no"),
        setfit=runs(0.95),
        silr=runs(0.8, 0.8, 0.74),
    )
    assert case.best_rival() == "LLM"  # gold was refused once, SetFit has one draw
    gain = case.gain("LLM")
    assert gain is not None
    assert gain[0] == pytest.approx(0.07) and gain[1] == pytest.approx(np.std([0.1, 0.08, 0.03], ddof=1) / np.sqrt(3))


def test_the_report_shows_refusals_losses_and_whether_intervals_hold() -> None:
    estimate = {"accuracy": 0.75, "low": 0.7, "high": 0.8, "true": 0.81}
    cases = [
        results(
            LLM=runs(0.70, 0.71),
            paper=runs("no signal", 0.6),
            uu=runs("no", "no"),
            silr=runs(0.69, 0.70, estimate=estimate),
        ),
        results("talk.fair.minilm", LLM=runs(0.5, 0.5), silr=runs(0.6, 0.7, estimate={**estimate, "true": 0.75})),
    ]
    text = "\n".join(report(cases))
    assert "| talk good | 0.705 | refused | 0.600 (1 of 2 refused) | 0.695 | -1.0 ± 0.0 | -1.0 ± 0.0 (LLM) |" in text
    assert "| talk fair | 0.500 | - | - | 0.650 | +15.0 ± 5.0 | +15.0 ± 5.0 (LLM) |" in text
    assert "+7.0 ± 2.5 | +7.0 ± 2.5 | 1 of 2 |" in text
    assert "| 4 | 0.750 | 0.780 | 0.100 | 2 (50%) |" in text


def test_methods_that_refuse_are_compared_on_the_draws_that_they_have() -> None:
    case = results(LLM=runs(0.7, 0.6), uu=runs("no", 0.65), silr=runs(0.8, 0.7))
    text = "\n".join(report([case]))
    assert "| strong, MiniLM | uu | 1 of 2 | 1 of 1 | +5.0 | +5.0 |" in text


def test_few_gold_labels_have_a_loss_that_is_tolerated_and_rivals_only_where_they_ran() -> None:
    few = [
        results(LLM=runs(0.70, 0.72), silr=runs(0.68, 0.70)),
        results("talk.fair.minilm", LLM=runs(0.7, 0.7), silr=runs(0.698, 0.698)),
    ]
    usual = [results(LLM=runs(0.70, 0.72), stack=runs(0.75, 0.75), silr=runs(0.8, 0.8))]
    text = "\n".join(few_gold({"25": few, "100": usual}))
    assert "| strong, MiniLM | 25 | 2 | 2 | 0.705 | - | - | - | 0.694 | -1.1 ± 0.0 | - | 1 of 2 |" in text
    assert "| strong, MiniLM | 100 | 1 | 2 | 0.710 | - | - | 0.750 | 0.800 | +9.0 ± 1.0 | +5.0 ± 0.0 | 0 of 1 |" in text
    assert "by more than 1.0%): talk good -2.0 ± 0.0" in text
