"""What labels new texts after the default method: features alone, or the posterior where LLMs label them too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax

from silr import LabelRefiner
from silr.classifiers.choose import load_classifier
from silr.classifiers.posterior import PosteriorClassifier, Remembered
from silr.errors import InputError
from silr.stats.annotator_evidence import Annotator

pytestmark = pytest.mark.slow

N, NEW = 1000, 400
CLASSES = {2: ("no", "yes"), 3: ("bad", "fair", "good")}


class Case:
    """A corpus and new texts of K classes, with one LLM of labels, one of scores, and a refiner that had both."""

    def __init__(self, K: int) -> None:
        rng = np.random.default_rng(K)
        self.K, names = K, np.array(CLASSES[K])
        codes = rng.integers(K, size=N + NEW)
        self.truth = names[codes]
        self.X = (rng.normal(size=(N + NEW, 30)) + rng.normal(size=(K, 30))[codes] / 5).astype(np.float32)
        said = np.where(rng.random(N + NEW) < 0.4, 0, codes)
        self.scores = log_softmax(1.5 * np.eye(K)[codes] + rng.normal(size=(N + NEW, K)), axis=1)
        self.labels = {"plain": names[said].astype(object), "scored": names[self.scores.argmax(axis=1)].astype(object)}
        self.labels["plain"][::11] = None
        self.labels["scored"][::13] = None
        self.scores[::13] = np.nan
        self.gold = np.where(np.arange(N) < 60, self.truth[:N], None)
        self.refiner = LabelRefiner().fit(
            self.X[:N], self.part(slice(N)), self.gold, llm_scores={"scored": self.scores[:N]}
        )

    def part(self, rows: Any) -> dict[str, Any]:
        return {name: column[rows] for name, column in self.labels.items()}

    def predict(self, rows: Any, refiner: LabelRefiner | None = None) -> Any:
        refiner = refiner or self.refiner
        return refiner.predict_proba(self.X[rows], llm_labels=self.part(rows), llm_scores={"scored": self.scores[rows]})

    def right(self, probabilities: Any, rows: slice) -> float:
        return float((self.refiner.classes_[probabilities.argmax(axis=1)] == self.truth[rows]).mean())


@pytest.fixture(scope="module", params=[2, 3])
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


def test_texts_of_the_corpus_get_the_refined_probabilities(case: Case) -> None:
    """But gold texts, whose refined probabilities are of fits without them."""
    found = case.predict(slice(N))
    np.testing.assert_array_equal(found[60:], case.refiner.out_of_fold_scores_[60:])
    assert (found[:60] != case.refiner.out_of_fold_scores_[:60]).any()
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-5)
    assert found.dtype == np.float32


def test_the_labels_of_new_texts_help(case: Case) -> None:
    new = slice(N, N + NEW)
    alone = case.refiner.predict_proba(case.X[new])
    with_labels = case.predict(new)
    assert case.right(alone, new) > 1 / case.K + 0.2
    assert case.right(with_labels, new) > case.right(alone, new) + 0.02
    assert case.right(with_labels, new) == pytest.approx(
        case.right(case.refiner.out_of_fold_scores_[60:], slice(60, N)), abs=0.06
    )


def test_new_texts_get_what_texts_of_the_corpus_get_nearly(case: Case) -> None:
    """The formula for new texts, given the corpus: the difference is each text's own part in the fit."""
    classifier = case.refiner.classifier_
    assert isinstance(classifier, PosteriorClassifier)
    remembered, classifier.remembered = classifier.remembered, Remembered(np.empty(0, np.uint64), np.empty((0, case.K)))
    try:
        found = case.predict(slice(N))
    finally:
        classifier.remembered = remembered
    said = np.array([label is not None for label in case.labels["plain"][:N]])
    assert (found[60:] != case.refiner.out_of_fold_scores_[60:]).any()
    assert np.abs(found - case.refiner.out_of_fold_scores_)[60:][said[60:]].mean() < 0.02


def test_without_labels_the_features_alone_speak(case: Case) -> None:
    """Also if every label is missing: whatever texts are beside them."""
    new = slice(N, N + 50)
    alone = case.refiner.predict_proba(case.X[new])
    nothing = {name: np.full(50, None) for name in case.labels}
    found = case.refiner.predict_proba(
        case.X[new], llm_labels=nothing, llm_scores={"scored": np.full((50, case.K), np.nan)}
    )
    np.testing.assert_array_equal(found, alone)
    some = {name: np.concatenate([column[N + 50 : N + 60], nothing[name]]) for name, column in case.labels.items()}
    scores = np.vstack([case.scores[N + 50 : N + 60], np.full((50, case.K), np.nan)])
    rows = np.r_[N + 50 : N + 60, N : N + 50]
    mixed = case.refiner.predict_proba(case.X[rows], llm_labels=some, llm_scores={"scored": scores})
    np.testing.assert_allclose(mixed[10:], alone, atol=1e-6)


def test_a_text_gets_the_same_whatever_is_beside_it(case: Case) -> None:
    """One by one, in parts or all together; of the corpus, too, some of which no LLM labelled."""
    every = case.predict(slice(N + NEW))
    silent = np.arange(0, N + NEW, 11 * 13)  # where neither LLM says anything
    labelled = np.setdiff1d(np.arange(40, N + NEW, 97), silent)
    np.testing.assert_allclose(case.predict(np.arange(N, N + NEW)), every[N:], atol=1e-6)
    for row in labelled:
        np.testing.assert_allclose(case.predict(np.array([row])), every[[row]], atol=1e-6)
    np.testing.assert_allclose(case.predict(silent), every[silent], atol=1e-6)


def test_another_label_than_in_the_corpus_is_another_text(case: Case) -> None:
    """Nothing is remembered of it, and the label counts."""
    rows = np.flatnonzero(case.labels["plain"][:N] == CLASSES[case.K][-1])[10:20]
    before = case.predict(rows)
    changed = case.part(rows)
    changed["plain"] = np.full(len(rows), CLASSES[case.K][0], dtype=object)
    after = case.refiner.predict_proba(case.X[rows], llm_labels=changed, llm_scores={"scored": case.scores[rows]})
    assert (after != before).all()


def test_it_is_the_same_from_its_files(case: Case, tmp_path: Path) -> None:
    case.refiner.classifier_.save(tmp_path)
    assert json.loads((tmp_path / "classifier.json").read_text()) == {"kind": "posterior", "annotators": 2}
    loaded = load_classifier(tmp_path, "cpu")
    assert isinstance(loaded, PosteriorClassifier)
    np.testing.assert_array_equal(loaded.predict_proba(case.X), case.refiner.predict_proba(case.X))
    code = {name: number for number, name in enumerate(CLASSES[case.K])}
    labels = [np.array([code.get(each, -1) for each in column], np.int16) for column in case.labels.values()]
    annotators = [Annotator(labels[0]), Annotator(labels[1], case.scores)]
    keys = np.arange(N + NEW, dtype=np.uint64)
    np.testing.assert_array_equal(
        loaded.predict_with_annotators(case.X, annotators, keys),
        case.refiner.classifier_.predict_with_annotators(case.X, annotators, keys),
    )


def test_a_loaded_run_predicts_alike(case: Case, tmp_path: Path) -> None:
    refiner = LabelRefiner(run=tmp_path / "run").fit(
        case.X[:N], case.part(slice(N)), case.gold, llm_scores={"scored": case.scores[:N]}
    )
    loaded = LabelRefiner.load(tmp_path / "run")
    assert loaded.llm_names_ == ["plain", "scored"]
    for found in (case.predict(slice(N + NEW), loaded), case.predict(slice(N + NEW), refiner)):
        np.testing.assert_array_equal(found, case.predict(slice(N + NEW)))


@pytest.mark.parametrize("damage", ["missing", "cut", "empty"])
def test_damaged_files(case: Case, tmp_path: Path, damage: str) -> None:
    case.refiner.classifier_.save(tmp_path)
    path = tmp_path / "posterior.safetensors"
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"")
    with pytest.raises(InputError, match="cannot read the classifier"):
        load_classifier(tmp_path, "cpu")


def test_labels_without_the_scores_that_the_corpus_had(case: Case) -> None:
    with pytest.raises(InputError, match="the corpus had scores of the LLM scored: give llm_scores"):
        case.refiner.predict_proba(case.X[N:], llm_labels=case.part(slice(N, None)))
    with pytest.raises(InputError, match="give llm_labels of the LLMs that have no scores"):
        case.refiner.predict_proba(case.X[N:], llm_scores={"scored": case.scores[N:]})


def test_other_llms_classes_and_lengths_are_refused(case: Case) -> None:
    scores = {"scored": case.scores[N:]}
    labels = case.part(slice(N, None))
    other = {"plain": labels["plain"], "new": labels["scored"]}
    for wrong, message in (
        (other, r"was labelled by 2 LLM\(s\) \(plain, scored\), not plain, new"),
        ({"plain": labels["plain"]}, r"was labelled by 2 LLM\(s\)"),
        ({**labels, "third": labels["plain"]}, r"was labelled by 2 LLM\(s\)"),
        ({**labels, "plain": np.full(NEW, "maybe")}, "'maybe', outside the classes"),
        ({**labels, "plain": labels["plain"][:5]}, "llm_labels"),
    ):
        with pytest.raises(InputError, match=message):
            case.refiner.predict_proba(case.X[N:], llm_labels=wrong, llm_scores=scores)
    with pytest.raises(InputError, match="llm_scores has shape"):
        case.refiner.predict_proba(case.X[N:], llm_labels=labels, llm_scores={"scored": case.scores[:5]})


def test_an_llm_of_scores_alone_needs_no_labels(case: Case) -> None:
    """Its answer is the class with the highest score."""
    known = np.isfinite(case.scores[:N]).all(axis=1)
    refiner = LabelRefiner().fit(case.X[:N], case.labels["scored"][:N], case.gold, llm_scores=case.scores[:N])
    found = refiner.predict_proba(case.X[:N], llm_scores=case.scores[:N])
    np.testing.assert_array_equal(found[60:][known[60:]], refiner.out_of_fold_scores_[60:][known[60:]])


def test_a_label_without_scores_counts_in_new_texts_as_in_the_corpus(case: Case) -> None:
    """One LLM, with scores for all texts but some, that it labelled nevertheless."""
    labels = case.labels["scored"].copy()
    labels[::13] = case.truth[::13]
    refiner = LabelRefiner().fit(case.X[:N], labels[:N], case.gold, llm_scores=case.scores[:N])
    found = refiner.predict_proba(case.X[:N], llm_labels=labels[:N], llm_scores=case.scores[:N])
    np.testing.assert_array_equal(found[60:], refiner.out_of_fold_scores_[60:])
    rows = np.arange(78, N, 13)
    alone = refiner.predict_proba(case.X[rows], llm_labels=labels[rows], llm_scores=case.scores[rows])
    np.testing.assert_array_equal(alone, refiner.out_of_fold_scores_[rows])


def test_given_features_that_are_mostly_0(case: Case) -> None:
    """Counts of words: each text of the corpus is known again, and none is taken for another."""
    rng = np.random.default_rng(0)
    X = np.zeros((N, 1500), np.float32)
    codes = np.searchsorted(CLASSES[case.K], case.truth[:N])
    for row, code in zip(X, codes, strict=True):
        row[np.where(rng.random(12) < 0.5, 100 * code + rng.integers(100, size=12), rng.integers(1500, size=12))] = 1
    labels = {"plain": case.labels["plain"][:N]}
    refiner = LabelRefiner().fit(X, labels, case.gold)
    found = refiner.predict_proba(X, llm_labels=labels)
    np.testing.assert_allclose(found[60:], refiner.out_of_fold_scores_[60:], atol=1e-6)


def test_texts_are_known_by_their_words() -> None:
    """Not by features, if the refiner read texts."""
    rng = np.random.default_rng(1)
    truth = rng.integers(2, size=400)
    words = [[f"w{code}{number}" for number in rng.integers(8, size=6)] for code in truth]
    texts = [" ".join([*line, f"x{number}"]) for number, line in enumerate(words)]
    labels = np.where(rng.random(400) < 0.3, 1, truth)
    refiner = LabelRefiner().fit(texts, labels, np.where(np.arange(400) < 40, truth, np.nan))
    found = refiner.predict_proba(texts, llm_labels=labels)
    np.testing.assert_array_equal(found[40:], refiner.out_of_fold_scores_[40:])
    matrix = refiner.features_.transform(texts)
    by_features = refiner.predict_proba(matrix, llm_labels=labels, texts=texts)
    np.testing.assert_array_equal(by_features, found)


def test_what_is_remembered() -> None:
    memory = Remembered(
        np.array([3, 7, 2**64 - 1], np.uint64), np.array([[0.1, 0.9], [0.2, 0.8], [0.3, 0.7]], np.float32)
    )
    found = np.full((5, 2), 0.5, np.float32)
    memory.recall(np.array([7, 0, 2**64 - 1, 8, 3], np.uint64), found)
    np.testing.assert_array_equal(found[:, 0], np.array([0.2, 0.5, 0.3, 0.5, 0.1], np.float32))
    Remembered(np.empty(0, np.uint64), np.empty((0, 2), np.float32)).recall(np.array([7], np.uint64), found[:1])
    assert found[0, 0] == np.float32(0.2)
