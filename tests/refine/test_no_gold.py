"""No gold label: what the LLM's scores alone can do, and what is said about it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from command_line import Commands
from silr import LabelRefiner
from silr.errors import InputError, NoSignalError
from silr.stats.self_training import guessed_shares
from synthetic import Corpus, make_corpus

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return make_corpus(1500, seed=6)


def biased(corpus: Corpus, shift: float) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Scores that order the texts well (AUC 0.92), with a threshold that is wrong by `shift`; and their argmax."""
    noise = np.random.default_rng(0).normal(size=len(corpus.texts))
    margin = 2.0 * (corpus.truth == "positive") - 1 + noise + shift
    return np.column_stack([-margin / 2, margin / 2]), np.where(margin > 0, "positive", "negative")


def accuracy(labels: NDArray[np.str_], corpus: Corpus) -> float:
    return float((labels == corpus.truth).mean())


@pytest.mark.parametrize("shift", [-1.5, 0.0, 1.5])
def test_a_wrong_threshold_is_mended(corpus: Corpus, shift: float) -> None:
    scores, labels = biased(corpus, shift)
    with pytest.warns(UserWarning, match="no gold labels, so the LLM's scores are taken at their word"):
        refiner = LabelRefiner().fit(corpus.features, labels, llm_scores=scores, truth=corpus.truth)
    assert accuracy(refiner.out_of_fold_labels_, corpus) > accuracy(labels, corpus) + (0.15 if shift else 0.03)
    assert refiner.priors_ is None and refiner.best_iteration_ == 5
    np.testing.assert_array_equal(refiner.predict(corpus.features), refiner.out_of_fold_labels_)
    np.testing.assert_allclose(refiner.predict_proba(corpus.features), refiner.out_of_fold_scores_, atol=1e-3)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.3, 0.7), st.floats(-5, 5), st.floats(0.1, 10))
def test_the_guess_is_the_mean_of_three(share: float, shift: float, scale: float) -> None:
    """Two of them do not depend on scale and threshold of the scores, the LLM's own probabilities do."""
    rng = np.random.default_rng(0)
    margin = shift + scale * (np.where(rng.random(2000) < share, 3.0, 0.0) + rng.normal(size=2000))
    said = float((1 / (1 + np.exp(-margin))).mean())
    found = guessed_shares(np.column_stack([np.zeros(2000), margin]))
    assert found[1] == pytest.approx((share + 0.5 + said) / 3, abs=0.04)
    assert found.sum() == pytest.approx(1)


def test_the_guess_is_even_among_the_answers() -> None:
    """One answer alone is no reason to believe that the others are rare."""
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(3000, 2)) * 0.01
    third = np.column_stack([scores, np.full(3000, -50.0)])
    np.testing.assert_allclose(guessed_shares(third)[:2].sum(), 1.0, atol=0.1)
    assert guessed_shares(scores - [0, 50])[1] > 1 / 6


def test_the_guess_leaves_nothing_to_chance() -> None:
    scores = np.random.default_rng(0).normal(size=(500, 4)) * [1, 2, 3, 4]
    found = guessed_shares(scores)
    np.testing.assert_array_equal(guessed_shares(scores), found)


def test_several_classes() -> None:
    """The LLM says the last of four classes of most texts; which one it nearly said is in its scores."""
    four = make_corpus(1500, ("a", "b", "c", "d"), seed=6)
    truth = np.searchsorted(["a", "b", "c", "d"], four.truth)
    scores = 2.0 * np.eye(4)[truth] + np.random.default_rng(0).normal(size=(1500, 4)) + [0, 0, 0, 2.5]
    said = np.array(["a", "b", "c", "d"])[scores.argmax(axis=1)]
    with pytest.warns(UserWarning, match="no gold labels"):
        refiner = LabelRefiner().fit(four.features, said, llm_scores=scores, truth=four.truth)
    assert accuracy(said, four) < 0.6 and accuracy(refiner.out_of_fold_labels_, four) > 0.8
    np.testing.assert_array_equal(refiner.predict(four.features), refiner.out_of_fold_labels_)


def test_where_it_does_not_work(corpus: Corpus) -> None:
    scores, labels = biased(corpus, 1.0)
    for given_scores, method in ((None, "uu"), (scores, "uu"), (scores, "paper")):
        with pytest.raises(InputError, match="0 gold labels are too few"):
            LabelRefiner(method=method).fit(corpus.features, labels, llm_scores=given_scores)
    with pytest.raises(NoSignalError, match="the same for all texts"), pytest.warns(UserWarning):
        LabelRefiner().fit(corpus.features, labels, llm_scores=np.zeros((1500, 2)))


def test_through_the_command_line(commands: Commands, corpus: Corpus, tmp_path: Path) -> None:
    """Refined, interrupted, gone on with, predicted, and a report that says what nobody knows."""
    scores, labels = biased(corpus, 1.5)
    columns = {f"llm_score_{name}": scores[:, k] for k, name in enumerate(("negative", "positive"))}
    table = corpus.write(tmp_path, llm_label=labels, gold="", gold_weight="", **columns)
    np.save(tmp_path / "table.features.npy", corpus.features)
    whole = commands("refine", table, "-o", tmp_path / "whole", "--truth", "truth")
    assert whole.code == 0 and whole.err.count("\n") == 1 and "there are no gold labels" in whole.err
    assert commands("refine", table, "-o", tmp_path / "run", "--iterations", 2).code == 0
    assert commands("refine", table, "-o", tmp_path / "run").code == 0
    refined = [pd.read_csv(tmp_path / run / "labels.csv")["refined_label"] for run in ("whole", "run")]
    assert (refined[0] == refined[1]).all()
    assert (refined[0] == corpus.truth).mean() > (labels == corpus.truth).mean() + 0.1
    assert commands("predict", tmp_path / "run", table, "-o", tmp_path / "scored.csv").code == 0
    assert (pd.read_csv(tmp_path / "scored.csv")["refined_label"] == refined[0]).all()
    assert "taken at their word" in (tmp_path / "whole" / "report.html").read_text()


def test_the_order_of_the_score_columns_is_nothing_to_go_by(commands: Commands, corpus: Corpus, tmp_path: Path) -> None:
    """Names that are not sorted, or sorted by value, as an annotator writes them: yes before no, 9 before 10."""
    scores, labels = biased(corpus, 1.5)
    for names in (("yes", "no"), ("9", "10")):
        named = {"negative": names[0], "positive": names[1]}
        columns = {f"llm_score_{name}": scores[:, k] for k, name in enumerate(names)}
        said, truth = (np.array([named[each] for each in column]) for column in (labels, corpus.truth))
        table = corpus.write(tmp_path, llm_label=said, gold="", gold_weight="", truth=truth, **columns)
        np.save(tmp_path / "table.features.npy", corpus.features)
        run = tmp_path / f"run-{names[0]}"
        assert commands("refine", table, "-o", run).code == 0
        refined = pd.read_csv(run / "labels.csv", dtype=str)["refined_label"]
        assert (refined == truth).mean() > 0.85


def test_classes_that_the_llm_never_gave(commands: Commands, corpus: Corpus, tmp_path: Path) -> None:
    """It calls all texts positive, and scores a third class that nothing and nobody has."""
    scores, _ = biased(corpus, 9.0)
    columns = {"llm_score_positive": scores[:, 1], "llm_score_negative": scores[:, 0], "llm_score_other": -20.0}
    table = corpus.write(tmp_path, llm_label="positive", **columns)
    np.save(tmp_path / "table.features.npy", corpus.features)
    result = commands("refine", table, "-o", tmp_path / "run")
    assert result.code == 0
    assert result.err.startswith("silr: warning: class 'other' has 0 gold labels") and result.err.count("\n") == 1
    refined = pd.read_csv(tmp_path / "run" / "labels.csv")["refined_label"]
    assert (refined == corpus.truth).mean() > 0.85


def test_all_labels_are_the_same_and_nobody_knows_better(commands: Commands, corpus: Corpus, tmp_path: Path) -> None:
    """The scores order the texts; by command line and in Python, which must be told the other class."""
    scores, labels = biased(corpus, 9.0)
    assert set(labels) == {"positive"}
    columns = {"llm_score_positive": scores[:, 1], "llm_score_negative": scores[:, 0]}
    table = corpus.write(tmp_path, llm_label=labels, gold="", gold_weight="", **columns)
    np.save(tmp_path / "table.features.npy", corpus.features)
    result = commands("refine", table, "-o", tmp_path / "run")
    assert result.code == 0
    assert "gives all texts the same label, and there are no gold labels" in result.err
    refined = pd.read_csv(tmp_path / "run" / "labels.csv")["refined_label"]
    assert accuracy(refined.to_numpy(), corpus) > accuracy(labels, corpus) + 0.2
    page = (tmp_path / "run" / "report.html").read_text()
    assert "and its scores," in page and "given class shares" not in page
    assert "labels are all the same, and often its scores are worth nothing then" in page
    assert "labelled positive" in page and "truly positive, estimated" not in page  # no line without a point
    with pytest.raises(InputError, match="one class only, 'positive': there is nothing to tell apart"):
        LabelRefiner().fit(corpus.features, labels)
    with pytest.warns(UserWarning, match="the same label"):
        refiner = LabelRefiner().fit(corpus.features, labels, llm_scores=scores, classes=["negative", "positive"])
    assert accuracy(refiner.out_of_fold_labels_, corpus) > accuracy(labels, corpus) + 0.2
    result = commands("refine", table, "-o", tmp_path / "uu", "--method", "uu")
    assert (result.code, result.err.count("\n")) == (2, 1)


def test_a_class_that_is_no_answer_is_found_by_its_score() -> None:
    """The score of class 2 never is the highest, but higher where it is true."""
    rng = np.random.default_rng(3)
    truth = rng.integers(3, size=1500)
    scores = 2.0 * np.eye(3)[truth] + rng.normal(size=(1500, 3)) - [0, 0, 9]
    features = 2.0 * np.eye(10)[truth] + rng.normal(size=(1500, 10))
    labels = scores.argmax(axis=1)
    assert set(labels) == {0, 1}
    with pytest.raises(InputError, match=r"shape \(1500, 3\); 1,500 rows of 2 are wanted; `classes` names those"):
        LabelRefiner().fit(features, labels, llm_scores=scores)
    with pytest.warns(UserWarning, match="no gold labels"):
        refiner = LabelRefiner().fit(features, labels, llm_scores=scores, classes=[0, 1, 2])
    assert 0.015 < (refiner.out_of_fold_labels_ == 2).mean() < 0.1
    assert (truth[refiner.out_of_fold_labels_ == 2] == 2).mean() > 0.9
