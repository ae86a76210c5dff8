"""Whose labels are the result, and what is said of them: the same everywhere."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from silr import LabelRefiner
from silr.refine.comparison import compare
from silr.refine.iteration import Iteration, Notes
from silr.refine.predict import predict_table
from silr.refine.record import read_record
from silr.refine.table import refine_table
from silr.refine.verdict import Verdict, result_of, verdict_of
from silr.report.summary import summary
from silr.report.write import write_report
from silr.stats.gold_labels import GoldLabels
from silr.stats.priors import Priors, priors_from_gold, priors_from_truth

N, M = 1000, 100
TRUTH = np.arange(N) % 2
GOLD = np.where(np.arange(N) < M, TRUTH, -1)


def estimate(labels: Any, _: int) -> Priors:
    said = labels >= 0
    return priors_from_gold(labels[said], GOLD[said], 2)


def wrong(rows: Any) -> Any:
    """True labels, but for some rows."""
    labels = TRUTH.astype(np.int16)
    labels[rows] = 1 - labels[rows]
    return labels


def iterations(llm: Any, refined: Any, posterior: bool = True) -> list[Iteration]:
    comparison = compare(estimate, llm, GoldLabels.of(GOLD, None, 2), refined)
    first = Iteration(0, llm, None, estimate(llm, 0), Notes("llm"))
    priors = estimate(refined, 1)
    notes = Notes("posterior", against_llm=comparison)
    if not posterior:
        notes = Notes("iteration", against_llm=comparison, labels_of=result_of(1, priors, comparison))
    return [first, Iteration(1, refined, None, priors, notes)]


@pytest.mark.parametrize(
    ("llm", "refined", "finding", "counts", "said"),
    [
        (range(0, N, 3), range(0, N, 30), "better", (30, 0), "The refined labels are better: by 100 gold labels"),
        (range(0, N, 10), range(0, N, 9), "unclear", (8, 10), "cannot tell: by these they are right"),
        (range(0, N, 30), range(0, N, 3), "worse", (0, 30), "less often than the labels of the LLM"),
        ([], range(500, 510), "unclear", (0, 0), "they are right as often as the labels of the LLM"),
        (range(0, N, 7), range(0, N, 7), "same", (0, 0), "No label of the LLM changed."),
    ],
)
def test_findings(llm: Any, refined: Any, finding: str, counts: tuple[int, int], said: str) -> None:
    found = verdict_of(iterations(wrong(llm), wrong(refined)))
    assert (found.kept, found.iteration, found.finding, found.gold) == ("refined", 1, finding, M)
    assert (found.put_right, found.made_wrong) == counts and said in found.words
    assert found.gain is not None and found.gain_interval is not None
    assert found.gain_interval[0] < found.gain < found.gain_interval[1]
    assert found.changed == (wrong(llm) != wrong(refined)).sum()


@pytest.mark.parametrize(("often", "gaps"), [(2, ["pos"]), (20, ["pos"]), (50, [])])
def test_gold_labels_of_one_class_show_no_gain(often: int, gaps: list[str]) -> None:
    """All that they prove is that these texts are of that class; a class that is rare may well be missed by chance."""
    gold = np.where(np.arange(N) < M, 0, -1)
    llm = (np.arange(N) % often == 0).astype(np.int16)

    def priors(labels: Any, _: int = 0) -> Priors:
        return priors_from_gold(labels, gold, 2)

    refined = np.zeros(N, np.int16)
    found = compare(priors, llm, GoldLabels.of(gold, None, 2), refined, ["neg", "pos"])
    assert found is not None
    notes = Notes("posterior", against_llm=replace(found, gain_interval=[0.001, 0.1]))
    steps = [Iteration(0, llm, None, priors(llm), Notes("llm")), Iteration(1, refined, None, priors(refined), notes)]
    verdict = verdict_of(steps)
    assert (verdict.finding, verdict.to_dict()["without_gold"]) == ("unclear" if gaps else "better", gaps)
    assert ("class 'pos' has no gold label" in verdict.words) is bool(gaps)


@pytest.mark.parametrize(("worse", "kept"), [(True, "llm"), (False, "refined")])
def test_a_method_that_does_not_weigh_the_llm_gives_way_to_it(worse: bool, kept: str) -> None:
    good, bad = wrong(range(0, N, 10)), wrong(range(0, N, 8))
    found = verdict_of(iterations(good, bad, False) if worse else iterations(bad, good, False))
    assert (found.kept, found.iteration, found.judged) == (kept, int(not worse), 1)
    assert ("The result is the labels of the LLM" in found.words) is worse


def test_the_interval_holds_where_few_gold_labels_changed() -> None:
    """Four changes for the worse and none for the better are no proof: by the exact sign test p is 1/8."""
    llm = wrong([])
    assert verdict_of(iterations(llm, wrong(range(4)))).finding == "unclear"
    assert verdict_of(iterations(llm, wrong(range(7)))).finding == "worse"  # p is 1/64


def test_the_interval_covers_the_gain() -> None:
    rng = np.random.default_rng(0)
    llm, refined = rng.random(N) < 0.8, rng.random(N) < 0.7
    refined |= llm & (rng.random(N) < 0.8)  # mostly right together
    gain, covered = refined.mean() - llm.mean(), 0
    for _ in range(200):
        rows = np.sort(rng.choice(N, M, replace=False))
        gold = np.where(np.isin(np.arange(N), rows), TRUTH, -1)
        labels = [np.where(right, TRUTH, 1 - TRUTH).astype(np.int16) for right in (llm, refined)]
        found = compare(
            lambda each, _, gold=gold: priors_from_gold(each, gold, 2),
            labels[0],
            GoldLabels.of(gold, None, 2),
            labels[1],
        )
        low, high = found.gain_interval
        covered += low <= gain <= high
    assert 0.92 <= covered / 200 <= 1


def test_labels_that_learned_from_gold_are_judged_on_the_other_texts() -> None:
    llm, refined = wrong(range(0, N, 5)), wrong(range(0, N, 10))
    plain, wider = (
        compare(estimate, llm, GoldLabels.of(GOLD, None, 2), refined, None, learned) for learned in (False, True)
    )
    assert plain is not None and wider is not None and plain.gain == wider.gain
    error = np.sqrt(10.5 + 0.5 - 10**2 / 102) / 102  # 10 of 100 gold texts put right, none made wrong
    for found, factor in ((plain, 1), (wider, 1.1 * np.sqrt(1 + 100 / 900))):
        half = 1.96 * error * factor
        assert found.gain_interval == pytest.approx([plain.gain - half, plain.gain + half])


def test_texts_without_llm_label_are_left_out_of_the_comparison() -> None:
    llm, refined = wrong(range(0, N, 5)), wrong(range(0, N, 10))
    llm[::4] = -1
    found = compare(estimate, llm, GoldLabels.of(GOLD, None, 2), refined)
    assert found is not None and found.gold == 75
    other = refined.copy()
    other[::4] = 1 - other[::4]
    assert compare(estimate, llm, GoldLabels.of(GOLD, None, 2), other) == found


def test_gold_labels_that_only_train_do_not_judge() -> None:
    weights = np.where(np.arange(N) < 50, 1.0, 0.0)
    gold = GoldLabels.of(GOLD, weights, 2)
    found = compare(lambda each, _: priors_from_gold(each, GOLD, 2, weights), wrong(range(60, 90)), gold, wrong([1]))
    assert found is not None and (found.gold, found.put_right, found.made_wrong) == (50, 0, 1)


def test_oracle_and_nothing_known() -> None:
    llm, refined = wrong(range(0, N, 10)), wrong(range(0, N, 8))
    found = compare(lambda each, _: priors_from_truth(each, TRUTH, 2), llm, None, refined)
    assert found is not None and found.gain == pytest.approx(-0.025) and found.gain_interval == [found.gain] * 2
    assert result_of(3, priors_from_truth(refined, TRUTH, 2), found) == 3
    assert compare(lambda *_: None, llm, None, refined) is None
    first = Iteration(0, llm, None, None, Notes("llm"))
    unknown = verdict_of([first, Iteration(1, refined, None, None, Notes("posterior"))])
    assert unknown.finding == "unknown" and "Without gold labels nobody can tell" in unknown.words
    earlier = verdict_of([first, Iteration(1, refined, None, estimate(refined, 1), Notes("posterior"))])
    assert "earlier version" in earlier.words
    lost = verdict_of([first, Iteration(1, refined, None, None, Notes("iteration", stopped="no signal"))])
    assert (lost.kept, lost.finding) == ("llm", "stopped") and "nothing was refined" in lost.words


def test_refined_labels_are_compared_with_the_best_of_several_llms() -> None:
    """One LLM is good, two say the same nonsense: to be better than the majority is no news."""
    rng = np.random.default_rng(0)
    truth = rng.integers(2, size=300)
    good, poor = np.where(rng.random(300) < 0.9, truth, 1 - truth), rng.integers(2, size=300)
    gold = np.full(300, None, dtype=object)
    gold[:60] = truth[:60]
    X = rng.normal(size=(300, 4)).astype(np.float32)
    refiner = LabelRefiner(random_state=0).fit(X, {"one": poor, "two": poor, "three": good}, gold)
    assert refiner.verdict_.finding in ("unclear", "same") and abs(refiner.verdict_.gain or 0) < 0.1
    assert "the labels of three, the LLM that is right most often by these" in refiner.verdict_.words
    alone = refiner.history_[1]["metrics"]
    assert alone["against_llm"]["llm"] == "three"


# --- in every method, words and files agree ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An LLM that is right on nine texts of ten, and words that tell the class of three in four."""
    rng = np.random.default_rng(0)
    n = 300
    truth = rng.integers(2, size=n)
    names = np.array(["no", "yes"], dtype=object)
    llm = np.where(rng.random(n) < 0.9, truth, 1 - truth)
    word = np.where(rng.random(n) < 0.75, truth, 1 - truth)
    gold, drawn = np.full(n, None, dtype=object), rng.choice(n, 60, replace=False)
    gold[drawn] = names[truth[drawn]]
    texts = [f"{('dull', 'fine')[w]} thing {k % 7} number {k}" for k, w in enumerate(word)]
    path = tmp_path_factory.mktemp("verdict") / "table.csv"
    labels = names[llm].copy()
    labels[[k for k in range(n) if gold[k] is None][:5]] = None
    pd.DataFrame({"text": texts, "llm_label": labels, "gold": gold, "truth": names[truth]}).to_csv(path, index=False)
    return path


@pytest.mark.parametrize(("method", "kept"), [("silr", "refined"), ("uu", "llm"), ("paper", "llm")])
def test_what_is_said_is_what_is_done(table: Path, tmp_path: Path, method: str, kept: str) -> None:
    run = tmp_path / "run"
    options: dict[str, Any] = {} if method == "silr" else {"method": method, "epochs": 20, "iterations": 2}
    refiner = refine_table(table, run, features="tfidf", device="cpu", **options)
    found: Verdict = refiner.verdict_
    assert found.kept == kept
    frame = pd.read_csv(run / "labels.csv", keep_default_na=False)
    free = (frame["gold"] == "") & (frame["llm_label"] != "")
    changed = int((frame["refined_label"] != frame["llm_label"])[free].sum())
    own = int((refiner.out_of_fold_labels_ != frame["llm_label"])[free].sum())
    assert changed == own and (kept == "refined" or not changed)
    assert (frame["refined_label"] != "").all() and frame["refined_score"].between(0, 1).all()
    assert LabelRefiner.load(run).verdict_ == found == read_record(run).verdict
    assert json.loads(json.dumps(summary(refiner.result_)))["verdict"] == found.to_dict()
    if method == "silr":  # texts that the LLM has not labelled have no label that changed
        assert refiner.result_.iterations[1].notes.changed == found.changed
    assert found.words.split(" (95")[0] in " ".join(write_report(run).read_text().replace("&#39;", "'").split())
    again = predict_table(run, table, tmp_path / "again.csv", device="cpu").frame
    assert (again["refined_label"] == frame["refined_label"])[free].all()
    assert (again["refined_score"] - frame["refined_score"])[free].abs().max() < 1e-3
    if kept == "llm":
        assert refiner.best_iteration_ == 0 and refiner.priors_ is not None
        shares = [refiner.theta_[k, k] for k in (refiner.out_of_fold_labels_[free] == "yes").astype(int)]
        np.testing.assert_allclose(frame["refined_score"][free], shares, atol=1e-3)
