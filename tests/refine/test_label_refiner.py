"""The loop as an estimator: better labels from biased ones, and scikit-learn's conventions."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from silr import UU, FineTuned, LabelRefiner
from silr.errors import InputError, NoSignalError
from silr.report.summary import print_history
from synthetic import Corpus, make_corpus

pytestmark = pytest.mark.slow

QUICK = {"method": "uu", "epochs": 10, "iterations": 2, "device": "cpu"}
MISSING = [None, np.nan]


def accuracy(labels: Any, corpus: Corpus) -> float:
    return float((labels == corpus.truth).mean())


def fit(corpus: Corpus, X: Any = None, y: Any = None, gold: Any = "its own", **parameters: Any) -> LabelRefiner:
    weight = parameters.pop("gold_weight", corpus.gold_weight)
    truth = parameters.pop("truth", None)
    gold = corpus.gold if isinstance(gold, str) else gold
    X = corpus.features if X is None else X
    refiner = LabelRefiner.from_options(**parameters)
    return refiner.fit(X, corpus.llm_labels if y is None else y, gold, gold_weight=weight, truth=truth)


@pytest.fixture(scope="module")
def refined(corpus: Corpus) -> LabelRefiner:
    return fit(corpus, truth=corpus.truth, method="uu")


# --- the labels get better --------------------------------------------------------------------------------------------


def test_two_classes(corpus: Corpus, refined: LabelRefiner) -> None:
    assert corpus.llm_accuracy < 0.75
    assert accuracy(refined.out_of_fold_labels_, corpus) > corpus.llm_accuracy + 0.15
    assert refined.out_of_fold_labels_.dtype == refined.classes_.dtype
    assert refined.out_of_fold_scores_.shape == (len(corpus.texts), 2)
    np.testing.assert_allclose(refined.out_of_fold_scores_.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(
        refined.classes_[refined.out_of_fold_scores_.argmax(axis=1)], refined.out_of_fold_labels_
    )
    # the classifier is better than the LLM on new texts too: those of the same sort that it has not seen
    assert accuracy(refined.predict(corpus.features), corpus) == accuracy(refined.out_of_fold_labels_, corpus)


def test_every_iteration_is_on_record(corpus: Corpus, refined: LabelRefiner) -> None:
    assert len(refined.history_) == 6
    np.testing.assert_array_equal(refined.classes_[refined.history_[0]["labels"]], corpus.llm_labels)
    assert refined.history_[0]["metrics"] == {
        "kind": "llm",
        "of": 5,
        "true_accuracy": pytest.approx(corpus.llm_accuracy),
    }
    for entry in refined.history_:
        labels = refined.classes_[entry["labels"]]
        assert entry["metrics"]["true_accuracy"] == pytest.approx(accuracy(labels, corpus))
        low, high = entry["priors"].accuracy_interval
        assert low < entry["priors"].accuracy < high
        assert (entry["priors"].source, entry["priors"].n_gold) == ("gold", 60)
    for entry in refined.history_[1:]:
        risks = entry["metrics"]["fit"]["validation_risk"]
        assert entry["metrics"]["fit"]["best_epoch"] == np.argmin(risks)
    best = refined.history_[refined.best_iteration_]
    assert refined.theta_ is best["priors"].theta and refined.class_prior_ is best["priors"].class_prior
    np.testing.assert_array_equal(refined.out_of_fold_labels_, refined.classes_[best["labels"]])


def test_three_classes(corpus3: Corpus) -> None:
    refiner = fit(corpus3, truth=corpus3.truth)
    assert refiner.classes_.tolist() == ["bad", "fair", "good"]
    assert refiner.theta_.shape == (3, 3) and refiner.out_of_fold_scores_.shape == (1500, 3)
    assert accuracy(refiner.out_of_fold_labels_, corpus3) > corpus3.llm_accuracy + 0.1


@pytest.mark.parametrize(("classes", "shown"), [(("x", "y", "a"), "a"), (("x", "a"), "x")])
def test_the_table_follows_what_the_llm_says_too_often(
    classes: tuple[str, ...], shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two classes the second, whose share says all."""
    biased = make_corpus(600, seed=3, classes=classes)
    refiner = fit(biased, iterations=1)
    print_history(refiner.result_)
    table = capsys.readouterr().out.splitlines()
    heading, llm, first = (next(line for line in table if word in line) for word in ("labels of", "the LLM", "refined"))
    assert f"labelled {shown}" in " ".join(heading.split())
    for row, labels in ((llm, biased.llm_labels), (first, refiner.out_of_fold_labels_)):
        assert f" {np.mean(labels == shown):.0%} " in row


def test_the_paper_s_recipe_makes_them_better_too(corpus: Corpus, refined: LabelRefiner) -> None:
    paper = fit(corpus, method="paper")
    assert accuracy(paper.out_of_fold_labels_, corpus) > corpus.llm_accuracy + 0.15
    assert (paper.out_of_fold_labels_ != refined.out_of_fold_labels_).any()


def test_texts(corpus: Corpus) -> None:
    refiner = fit(corpus, corpus.texts, iterations=2)
    assert accuracy(refiner.out_of_fold_labels_, corpus) > corpus.llm_accuracy + 0.15
    np.testing.assert_array_equal(refiner.predict(corpus.texts), refiner.out_of_fold_labels_)


def test_hidden_layer(corpus: Corpus) -> None:
    refiner = fit(corpus, method="uu", hidden_units=16, iterations=2)
    assert accuracy(refiner.out_of_fold_labels_, corpus) > corpus.llm_accuracy + 0.1


# --- what the result depends on ---------------------------------------------------------------------------------------


def test_truth_scores_and_does_nothing_else(corpus: Corpus, refined: LabelRefiner) -> None:
    without = fit(corpus, method="uu")
    np.testing.assert_array_equal(without.out_of_fold_labels_, refined.out_of_fold_labels_)
    np.testing.assert_array_equal(without.out_of_fold_scores_, refined.out_of_fold_scores_)
    assert not any("true_accuracy" in entry["metrics"] for entry in without.history_)
    flipped = np.where(corpus.truth == "positive", "negative", "positive")
    against = fit(corpus, truth=flipped, method="uu")
    np.testing.assert_array_equal(against.out_of_fold_scores_, refined.out_of_fold_scores_)
    assert against.history_[5]["metrics"]["true_accuracy"] == pytest.approx(
        1 - accuracy(refined.out_of_fold_labels_, corpus)
    )


def test_oracle_takes_the_priors_from_the_truth(corpus: Corpus) -> None:
    oracle = fit(corpus, gold=None, priors="oracle", truth=corpus.truth, gold_weight=None)
    assert accuracy(oracle.out_of_fold_labels_, corpus) > corpus.llm_accuracy + 0.15
    for entry in oracle.history_:
        assert entry["priors"].source == "oracle"
        assert entry["priors"].accuracy == pytest.approx(entry["metrics"]["true_accuracy"])
    with pytest.raises(InputError, match=r"oracle.* takes them from the truth"):
        fit(corpus, priors="oracle")


def test_theta_that_is_known_needs_no_gold_and_gives_one_iteration(corpus: Corpus) -> None:
    theta = [
        [(corpus.truth[corpus.llm_labels == j] == k).mean() for k in np.unique(corpus.truth)]
        for j in np.unique(corpus.truth)
    ]
    alone = fit(corpus, gold=None, gold_weight=None, theta=theta)
    assert len(alone.history_) == 2 and alone.best_iteration_ == 1
    assert (alone.priors_, alone.theta_, alone.class_prior_) == (None, None, None)
    assert accuracy(alone.out_of_fold_labels_, corpus) > corpus.llm_accuracy + 0.15
    both = fit(corpus, theta=theta)
    assert [entry["priors"].source for entry in both.history_] == ["given"] + ["gold"] * 5
    shifted = fit(corpus, gold=None, gold_weight=None, theta=theta, class_prior=[0.7, 0.3])
    assert (shifted.out_of_fold_labels_ == "negative").mean() == pytest.approx(0.7, abs=0.01)


def test_texts_without_a_label_train_nothing_and_are_labelled(corpus: Corpus) -> None:
    rng = np.random.default_rng(3)
    gone = rng.random(len(corpus.texts)) < 0.2
    labels = corpus.llm_labels.astype(object)
    labels[gone] = [MISSING[number % 2] for number in range(gone.sum())]
    refiner = fit(corpus, y=labels, gold_weight=None)
    assert (refiner.history_[0]["labels"][gone] == -1).all() and (refiner.history_[1]["labels"] >= 0).all()
    assert (refiner.out_of_fold_labels_[gone] == corpus.truth[gone]).mean() > 0.85
    np.testing.assert_allclose(refiner.history_[0]["priors"].pseudo_share.sum(), 1)


def test_same_seed_same_labels_another_seed_another_result(corpus: Corpus) -> None:
    first, again, other = (fit(corpus, random_state=seed, **QUICK) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first.out_of_fold_labels_, again.out_of_fold_labels_)
    np.testing.assert_array_equal(first.out_of_fold_scores_, again.out_of_fold_scores_)
    assert (first.out_of_fold_scores_ != other.out_of_fold_scores_).any()
    drawn = [fit(corpus, random_state=np.random.RandomState(seed), **QUICK) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(drawn[0].out_of_fold_scores_, drawn[1].out_of_fold_scores_)
    assert (drawn[0].out_of_fold_scores_ != drawn[2].out_of_fold_scores_).any()


def test_the_fit_leaves_numpy_s_and_torch_s_random_numbers_alone(corpus: Corpus) -> None:
    import torch

    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    before = np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    fit(corpus, hidden_units=4, **QUICK)
    assert (np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == before  # noqa: NPY002


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_labels_without_signal(corpus: Corpus) -> None:
    noise = np.random.default_rng(0).permutation(corpus.llm_labels)
    with pytest.raises(NoSignalError, match=r"cannot be told apart: .* say nothing dependable about the truth"):
        fit(corpus, y=noise, gold=few(corpus, 200), gold_weight=None, method="uu")
    swapped = np.where(corpus.llm_labels == "positive", "negative", "positive")
    with pytest.raises(NoSignalError, match="look swapped"):
        fit(corpus, y=swapped, method="uu")


def test_features_without_signal(corpus: Corpus) -> None:
    noise = np.random.default_rng(0).normal(size=(len(corpus.texts), 2))  # too few to learn the labels by heart
    with pytest.raises(NoSignalError, match="first iteration lost it"):
        fit(corpus, noise, method="uu")


def few(corpus: Corpus, n: int) -> np.ndarray:
    """`n` gold labels of the first texts."""
    gold = np.full(len(corpus.texts), None, dtype=object)
    gold[:n] = corpus.truth[:n]
    return gold


def test_too_few_gold_labels(corpus: Corpus) -> None:
    with pytest.raises(InputError, match="0 gold labels are too few"):
        fit(corpus, gold=None, method="uu")
    for known in ({}, {"theta": [[0.9, 0.1], [0.4, 0.6]]}):  # also where they would only serve later iterations
        with pytest.raises(InputError, match=r"9 gold labels are too few .* at least 10"):
            fit(corpus, gold=few(corpus, 9), gold_weight=None, **known)
    with pytest.raises(InputError, match="all 20 gold labels are 'positive'"):
        fit(corpus, gold=np.where(few(corpus, 20) != None, "positive", None), gold_weight=None, method="uu")  # noqa: E711


def test_few_gold_labels_work_with_a_warning(corpus: Corpus) -> None:
    with pytest.warns(UserWarning, match="only 25 gold labels: expect wide intervals"):
        fit(corpus, gold=few(corpus, 25), gold_weight=None, **QUICK)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(corpus, gold=few(corpus, 40), gold_weight=None, **QUICK)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classifier": "best"}, "classifier must be one of frozen, lora, qlora, full, got 'best'"),
        ({"method": "other"}, "method must be one of silr, uu, paper"),
        ({"method": "uu", "priors": "guess"}, "priors must be one of gold, oracle"),
        ({"method": "uu", "loss": "hinge"}, "loss must be one of sigmoid, logistic"),
        ({"method": "uu", "correction": "some"}, "correction must be one of"),
        ({"iterations": 0}, "iterations must be at least 1"),
        ({"method": "paper", "epochs": -1}, "epochs must be at least 1"),
        ({"method": "uu", "hidden_units": -1}, "hidden_units must be at least 0"),
        ({"method": "uu", "class_prior": [0.5, 0.5]}, "give theta too"),
        ({"theta": np.eye(3)}, r"theta has shape \(3, 3\), but the classes are negative, positive"),
        ({"theta": [[0.9, 0.2], [0.5, 0.5]]}, "theta must sum to 1 in each row"),
        ({"theta": [[0.5, 0.5], [0.5, 0.5]]}, "cannot be told apart"),
        ({"gold_weight": [1.0]}, r"gold_weight has shape \(1,\)"),
        ({"gold_weight": -np.ones(1200)}, "weights must be .* positive"),
        ({"gold_weight": np.zeros(1200)}, "no gold label has a weight above 0"),
        ({"X": np.zeros((3, 2))}, "X has 3 rows, the labels 1,200"),
        ({"X": ["a", "b"]}, "X has 2 rows, the labels 1,200"),
        ({"X": np.full((1200, 2), np.nan)}, "row 1 has a value that is not finite"),
        ({"X": np.full((1200, 2), "a")}, "X must be texts .* or a matrix of numbers"),
        ({"X": [None, "a"] * 600}, r"X\[0\] is 'None', not a text"),
        ({"X": np.zeros((1200, 0))}, r"of shape \(1200, 0\)"),
    ],
)
def test_bad_input(corpus: Corpus, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        fit(corpus, **changes)
    assert "\n" not in str(error.value)


def test_bad_settings_leave_no_run_behind(corpus: Corpus, tmp_path: Path) -> None:
    for changes in ({"method": "uu", "loss": "hinge"}, {"X": np.zeros((3, 2))}, {"theta": np.eye(3)}):
        with pytest.raises(InputError):
            fit(corpus, run=tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


# --- scikit-learn's conventions ---------------------------------------------------------------------------------------


def test_parameters() -> None:
    refiner = LabelRefiner(UU(3, loss="logistic", theta=[[0.9, 0.1], [0.3, 0.7]]))
    values = refiner.get_params()
    assert (values["method__iterations"], values["method__loss"], values["method"].name) == (3, "logistic", "uu")
    copy = clone(refiner)
    assert copy is not refiner and repr(copy) == repr(refiner)
    assert copy.set_params(method__epochs=7, random_state=None).get_params()["method__epochs"] == 7
    assert refiner.method.epochs is None
    with pytest.raises(ValueError, match="Invalid parameter 'epoch'"):
        refiner.set_params(method__epoch=7)
    assert repr(refiner).startswith("LabelRefiner(method=UU(iterations=3, loss='logistic'")
    assert repr(LabelRefiner.from_options(method="uu", epochs=3)) == "LabelRefiner(method=UU(epochs=3))"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "logistic"}, "loss is a setting of the methods uu and paper"),
        ({"epochs": 3}, "epochs is a setting of the methods uu and paper"),
        ({"model": "m"}, "model is for the classifiers lora, qlora and full; this one is 'frozen'"),
        ({"classifier": "lora"}, "classifier 'lora' needs a model"),
        ({"classifier": "full", "model": "m", "hidden_units": 4}, "hidden_units is for the classifier 'frozen'"),
        ({"classifier": "lora", "model": "m", "loss": "logistic"}, "loss is a setting of the methods uu and paper"),
    ],
)
def test_an_option_of_another_method_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LabelRefiner.from_options(**options)


def test_a_setting_of_the_head_is_none_of_a_fine_tuned_model(corpus: Corpus) -> None:
    with pytest.raises(InputError, match="epochs is for the classifier 'frozen'; this one is 'lora'"):
        LabelRefiner(UU(epochs=3), FineTuned("model")).fit(corpus.texts, corpus.llm_labels, corpus.gold)
    with pytest.raises(InputError, match=r"needs a model: give FineTuned\(model, 'lora'\)"):
        LabelRefiner(classifier="lora").fit(corpus.texts, corpus.llm_labels, corpus.gold)


@pytest.mark.parametrize("method", ["silr", "uu", "paper"])
def test_gold_texts_have_their_gold_label_and_what_they_would_be_without(corpus: Corpus, method: str) -> None:
    refiner = fit(corpus, method=method)
    by_hand = np.array([each is not None for each in corpus.gold])
    assert (refiner.labels_[by_hand] == corpus.gold[by_hand]).all()
    assert (refiner.out_of_fold_labels_[by_hand] != corpus.gold[by_hand]).any()
    np.testing.assert_array_equal(refiner.labels_[~by_hand], refiner.out_of_fold_labels_[~by_hand])
    np.testing.assert_array_equal(refiner.scores_[~by_hand], refiner.out_of_fold_scores_[~by_hand])
    own = refiner.scores_[np.arange(len(by_hand)), np.searchsorted(refiner.classes_, refiner.labels_)]
    assert (own[by_hand] == 1).all() and (refiner.scores_[by_hand].sum(axis=1) == 1).all()


def test_fit_changes_no_parameter(corpus: Corpus) -> None:
    refiner = LabelRefiner.from_options(**QUICK, theta=((0.95, 0.05), (0.4, 0.6)))
    before = refiner.get_params()
    assert refiner.fit(corpus.features, corpus.llm_labels) is refiner
    assert refiner.get_params() == before
    assert repr(clone(refiner)) == repr(refiner) and not hasattr(clone(refiner), "classes_")


def test_not_fitted(corpus: Corpus) -> None:
    for method in (LabelRefiner().predict, LabelRefiner().predict_proba):
        with pytest.raises(NotFittedError):
            method(corpus.features)


@pytest.mark.parametrize("classes", [("no", "yes"), (0, 1), (7, -3), (False, True), (0.5, 2.0)])
def test_classes_of_any_type(corpus: Corpus, classes: tuple[Any, Any]) -> None:
    def named(labels: np.ndarray) -> Any:
        return np.array([*classes, None], dtype=object)[[-1 if x is None else int(x == "positive") for x in labels]]

    y = np.array(named(corpus.llm_labels).tolist())
    refiner = fit(corpus, y=y, gold=named(corpus.gold), truth=named(corpus.truth), **QUICK)
    assert refiner.classes_.dtype == y.dtype and refiner.classes_.tolist() == sorted(classes)
    assert refiner.out_of_fold_labels_.dtype == refiner.predict(corpus.features).dtype == y.dtype
    assert (refiner.out_of_fold_labels_ == np.array(named(corpus.truth).tolist())).mean() > 0.85


def test_score_is_the_accuracy(corpus: Corpus, refined: LabelRefiner) -> None:
    assert refined.score(corpus.features, corpus.truth) == accuracy(refined.predict(corpus.features), corpus)
    assert refined.n_features_in_ == 32


def test_predict_refuses_what_it_was_not_fitted_on(corpus: Corpus, refined: LabelRefiner) -> None:
    for X, message in (
        (corpus.features[:, :5], "X has 5 features, the classifier was fitted on 32"),
        (np.full((2, 32), np.inf), "not finite"),
        (["a text"], "fitted on features; give features, not texts"),
        (np.zeros(32), "X must be texts"),
    ):
        with pytest.raises(InputError, match=message):
            refined.predict(X)


def test_a_second_fit_forgets_the_first(corpus: Corpus, corpus3: Corpus) -> None:
    refiner = LabelRefiner.from_options(**QUICK)
    refiner.fit(corpus.texts, corpus.llm_labels, corpus.gold)
    refiner.fit(corpus3.features, corpus3.llm_labels, corpus3.gold)
    assert len(refiner.classes_) == 3 and refiner.n_features_in_ == 32
    with pytest.raises(InputError, match="fitted on features"):
        refiner.predict(["a text"])
    np.testing.assert_array_equal(
        refiner.out_of_fold_scores_, fit(corpus3, gold_weight=None, **QUICK).out_of_fold_scores_
    )


@pytest.mark.parametrize("dtype", ["float16", "float64", "int32"])
def test_features_of_any_number_type(corpus: Corpus, dtype: str) -> None:
    refiner = fit(corpus, (corpus.features * 8).astype(dtype), **QUICK)
    assert accuracy(refiner.out_of_fold_labels_, corpus) > corpus.llm_accuracy + 0.1


def test_a_memory_map_is_read_in_place(corpus: Corpus, tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", corpus.features)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    np.testing.assert_array_equal(
        fit(corpus, mapped, **QUICK).out_of_fold_scores_, fit(corpus, **QUICK).out_of_fold_scores_
    )


# --- scikit-learn's habits --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def framed(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> LabelRefiner:
    """Fitted on a frame of features, with a run."""
    run = tmp_path_factory.mktemp("framed") / "run"
    return fit(corpus, frame_of(corpus), run=run)


def frame_of(corpus: Corpus) -> pd.DataFrame:
    return pd.DataFrame(corpus.features, columns=[f"x{number}" for number in range(32)])


def test_a_frame_s_columns_are_kept_and_checked(corpus: Corpus, framed: LabelRefiner) -> None:
    """In the process and from the run."""
    frame = frame_of(corpus)
    for refiner in (framed, LabelRefiner.load(framed.run)):
        assert refiner.feature_names_in_.tolist() == frame.columns.tolist() and refiner.n_features_in_ == 32
        np.testing.assert_array_equal(refiner.predict(frame), framed.predict(frame))
        for wrong, said in (
            (frame[frame.columns[::-1]], "same order"),
            (frame.drop(columns="x3"), "now missing:\n- x3"),
        ):
            with pytest.raises(ValueError, match=said):
                refiner.predict(wrong)
        with pytest.warns(UserWarning, match="does not have valid feature names"):
            refiner.predict(corpus.features)
    again = clone(framed).set_params(run=None).fit(corpus.features, corpus.llm_labels, corpus.gold)
    assert not hasattr(again, "feature_names_in_")


def test_sparse_features_are_those_of_the_dense_ones(corpus: Corpus, framed: LabelRefiner) -> None:
    sparse = scipy.sparse.csr_array(corpus.features)
    refiner = fit(corpus, sparse)
    np.testing.assert_array_equal(refiner.out_of_fold_labels_, framed.out_of_fold_labels_)
    np.testing.assert_array_equal(refiner.predict(sparse), framed.predict(frame_of(corpus)))


def test_decision_function(corpus: Corpus, framed: LabelRefiner, corpus3: Corpus) -> None:
    decided = framed.decision_function(frame_of(corpus))
    assert decided.shape == (1200,)
    np.testing.assert_array_equal(framed.classes_[(decided > 0).astype(int)], framed.predict(frame_of(corpus)))
    three = fit(corpus3, **QUICK)
    assert three.decision_function(corpus3.features).shape == (1500, 3)
    best = three.decision_function(corpus3.features).argmax(axis=1)
    np.testing.assert_array_equal(three.classes_[best], three.predict(corpus3.features))


def test_score_is_against_the_labels_that_are_given(corpus: Corpus, framed: LabelRefiner) -> None:
    """Texts without one are left out; a label of no class and the LLM's own labels do not go unnoticed."""
    frame = frame_of(corpus)
    known = np.array([label is not None for label in corpus.gold])
    right = framed.predict(frame) == corpus.truth
    assert framed.score(frame, corpus.gold) == pytest.approx(right[known].mean())
    weights = np.random.default_rng(0).random(1200)
    assert framed.score(frame, corpus.truth, weights) == pytest.approx(np.average(right, weights=weights))
    with pytest.warns(UserWarning, match="the score is the agreement with the LLM"):
        framed.score(frame, corpus.llm_labels)
    with pytest.raises(InputError, match=r"y\[0\] is '.*' in case only"):
        framed.score(frame, np.char.upper(corpus.truth))
    with pytest.raises(InputError, match="no true label"):
        framed.score(frame, [None] * 1200)


def test_paths_and_frames_of_texts(corpus: Corpus, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", corpus.features)
    refiner = fit(corpus, corpus.texts, features=[tmp_path / "x.npy"], run=tmp_path / "run")
    np.testing.assert_array_equal(
        refiner.out_of_fold_labels_, fit(corpus, corpus.texts, features=tmp_path / "x.npy").out_of_fold_labels_
    )
    texts = pd.DataFrame({"text": corpus.texts})
    framed = fit(corpus, texts)
    np.testing.assert_array_equal(framed.predict(texts[:9]), framed.predict(corpus.texts[:9]))
    with pytest.raises(InputError, match="one string, where a list of texts is wanted"):
        framed.predict("great")


def test_no_rows_names_of_several_types_and_scores_of_another_class() -> None:
    X = np.random.default_rng(0).normal(size=(60, 3))
    y, gold = (X[:, 0] > 0).astype(int), np.where(np.arange(60) < 40, X[:, 1] > 0, -1)
    with pytest.warns(UserWarning, match="highest for another class than the label in 60 of 60 texts: are the score"):
        refiner = LabelRefiner().fit(X, y, gold, llm_scores=np.c_[X[:, 0], -X[:, 0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LabelRefiner().fit(X, y, gold, llm_scores=np.c_[-X[:, 0], X[:, 0]])
    for nothing in ([], X[:0], pd.DataFrame(X)[:0]):
        assert refiner.predict(nothing).shape == (0,) and refiner.predict(nothing).dtype == y.dtype
        assert refiner.predict_proba(nothing).shape == (0, 2)
    with pytest.raises(InputError, match="of several types"):
        LabelRefiner().fit(pd.DataFrame(X, columns=["a", 1, "b"]), y, gold)


def test_a_misspelt_encoder_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sentence_transformers")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("sentence_transformers.SentenceTransformer", None)  # it would try for minutes
    with pytest.raises(InputError, match="cannot load the sentence-transformers model 'nope'"):
        LabelRefiner(features=Path("nope")).fit(["a b", "c d"] * 20, [0, 1] * 20, [0, 1] * 20)
