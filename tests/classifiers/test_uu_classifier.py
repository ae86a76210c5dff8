"""The estimator: scikit-learn's conventions, labels and features of every kind."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from silr import UUClassifier
from silr.errors import InputError

THETA = [[0.9, 0.1], [0.4, 0.6]]


# Every check runs and none is excluded or expected to fail. Their tables have a few hundred rows, one batch each, so 40
# steps of a larger size learn what the default's 250 do, in a fifth of the time.
@parametrize_with_checks([UUClassifier(random_state=0, epochs=40, learning_rate=1e-2)])
def test_scikit_learn_conventions(estimator: UUClassifier, check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # else scikit-learn skips the check with array API dispatch
    check(estimator)


def biased(n: int = 600, n_classes: int = 2, seed: int = 0) -> tuple[Any, Any, Any, Any]:
    """Features, the truth, pseudo-labels that prefer the last class, and their theta."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(n_classes, size=n)
    X = rng.normal(size=(n, 5)) + 4 * np.eye(5)[truth]
    labels = np.where(rng.random(n) < 0.7, n_classes - 1, truth)
    theta = np.array([np.bincount(truth[labels == j], minlength=n_classes) for j in range(n_classes)], dtype=float)
    return X, truth, labels, theta / theta.sum(axis=1, keepdims=True)


def a_classifier(**settings: Any) -> UUClassifier:
    return UUClassifier(**{"random_state": 0, "epochs": 20, "learning_rate": 0.02, "device": "cpu"} | settings)


@pytest.mark.parametrize("hidden_units", [0, 8])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_learns_the_truth_from_biased_labels(n_classes: int, hidden_units: int) -> None:
    X, truth, labels, theta = biased(1500, n_classes)
    robust = a_classifier(theta=theta, hidden_units=hidden_units).fit(X, labels)
    plain = a_classifier(hidden_units=hidden_units).fit(X, labels)
    assert (labels == truth).mean() < 0.7
    assert robust.score(X, truth) > 0.95
    assert plain.score(X, truth) < 0.8


def test_default_settings_learn_too() -> None:
    X, truth, labels, theta = biased(1500)
    assert UUClassifier(theta, random_state=0).fit(X, labels).score(X, truth) > 0.95


# Labels

NAMES = [
    np.array(["bad", "good"]),
    np.array(["zebra", "ant"]),
    np.array(["é", "日本"], dtype=object),
    np.array([False, True]),
    np.array([-1, 1]),
    np.array([7, 3], dtype=np.int8),
    np.array([0.0, 1.0]),
]


@pytest.mark.parametrize("names", NAMES, ids=lambda names: f"{names.tolist()}")
def test_labels_of_any_type(names: NDArray[Any]) -> None:
    X, _, codes, theta = biased()
    by_code = a_classifier(theta=theta).fit(X, codes)
    order = np.argsort(names)
    fitted = a_classifier(theta=theta).fit(X, names[order][codes])
    assert fitted.classes_.tolist() == sorted(names.tolist())
    assert fitted.classes_.dtype == names.dtype
    predicted = fitted.predict(X)
    assert predicted.dtype == names.dtype
    assert (predicted == names[order][by_code.predict(X)]).all()
    assert (fitted.predict_proba(X) == by_code.predict_proba(X)).all()


@pytest.mark.parametrize("dtype", ["str", "object", "category", "Int64", "boolean"])
def test_labels_of_pandas(dtype: str) -> None:
    X, _, codes, theta = biased()
    names = [1, 2] if dtype == "Int64" else [False, True] if dtype == "boolean" else ["bad", "good"]
    y = pd.Series(np.array(names, dtype=object)[codes], index=range(50, 650)).astype(dtype)
    fitted = a_classifier(theta=theta).fit(X, y)
    assert fitted.classes_.tolist() == names
    assert (fitted.predict_proba(X) == a_classifier(theta=theta).fit(X, codes).predict_proba(X)).all()


def test_theta_and_prior_are_in_the_order_of_classes() -> None:
    """Renaming the classes so that they sort the other way, with theta and prior turned round, changes names only."""
    X, _, codes, theta = biased()
    prior = np.array([0.45, 0.55])
    one = a_classifier(theta=theta, class_prior=prior)
    other = a_classifier(theta=theta[::-1, ::-1], class_prior=prior[::-1])
    first = one.fit(X, np.array(["a", "b"])[codes]).predict(X) == "a"
    second = other.fit(X, np.array(["z", "b"])[codes]).predict(X) == "z"
    assert other.classes_.tolist() == ["b", "z"]
    assert first.mean() == second.mean() == pytest.approx(0.45, abs=0.002)
    assert (first == second).mean() > 0.95


@pytest.mark.parametrize("n_classes", [2, 3, 4])
def test_scores_and_predictions_agree(n_classes: int) -> None:
    X, _, labels, theta = biased(n_classes=n_classes)
    fitted = a_classifier(theta=theta, correction="leaky", loss="logistic").fit(X, labels)
    scores, decisions = fitted.predict_proba(X), fitted.decision_function(X)
    assert scores.shape == (600, n_classes)
    assert scores.sum(axis=1) == pytest.approx(np.ones(600), abs=1e-6)
    assert (fitted.classes_[scores.argmax(axis=1)] == fitted.predict(X)).mean() > 0.999  # but for rounding to ties
    if n_classes == 2:
        assert decisions.shape == (600,)
        assert ((decisions > 0) == (fitted.predict(X) == fitted.classes_[1])).all()
        assert 1 / (1 + np.exp(-decisions)) == pytest.approx(scores[:, 1], abs=1e-6)
    else:
        assert decisions.shape == (600, n_classes)
        assert (decisions.argmax(axis=1) == scores.argmax(axis=1)).mean() > 0.999


# Settings


def test_settings_are_kept_and_cloned() -> None:
    settings = {
        "theta": THETA,
        "class_prior": [0.7, 0.3],
        "loss": "logistic",
        "correction": "leaky",
        "leak": -0.5,
        "match_prior": False,
        "hidden_units": 3,
        "epochs": 2,
        "batch_size": 10,
        "learning_rate": 0.5,
        "weight_decay": 0.1,
        "random_state": 4,
        "device": "cpu",
    }
    classifier = UUClassifier(**settings)  # type: ignore[arg-type]
    assert classifier.get_params() == settings
    X, _, labels, _ = biased(100)
    classifier.fit(X, labels)
    copy = clone(classifier)
    assert copy.get_params() == settings  # fit changes none
    assert not hasattr(copy, "classes_")
    assert copy.set_params(leak=-1).get_params()["leak"] == -1


@pytest.mark.parametrize(
    "setting",
    [
        {"theta": THETA},
        {"class_prior": [0.3, 0.7]},
        {"loss": "logistic"},
        {"correction": "abs"},
        {"correction": "leaky", "leak": -5},
        {"match_prior": False},
        {"hidden_units": 3},
        {"epochs": 4},
        {"batch_size": 50},
        {"learning_rate": 0.02},
        {"weight_decay": 2.0},
    ],
    ids=lambda setting: " ".join(setting),
)
def test_every_setting_has_a_say(setting: dict[str, Any]) -> None:
    X, _, labels, _ = biased(300)
    usual = {"theta": [[0.7, 0.3], [0.5, 0.5]], "correction": "leaky", "epochs": 12, "learning_rate": 0.1}
    one = a_classifier(**usual).fit(X, labels)
    other = a_classifier(**usual | setting).fit(X, labels)
    assert np.abs(one.predict_proba(X) - other.predict_proba(X)).max() > 1e-3


def test_class_prior_of_the_fit() -> None:
    X, _, labels, theta = biased()
    share = np.bincount(labels) / len(labels)
    assert a_classifier(theta=theta, epochs=1).fit(X, labels).class_prior_ == pytest.approx(share @ theta)
    assert a_classifier(epochs=1).fit(X, labels).class_prior_ == pytest.approx(share)
    fitted = a_classifier(theta=theta, class_prior=[0.2, 0.8]).fit(X, labels)
    assert fitted.class_prior_.tolist() == [0.2, 0.8]
    assert (fitted.predict(X) == 1).mean() == pytest.approx(0.8, abs=0.01)
    free = a_classifier(theta=theta, class_prior=[0.2, 0.8], match_prior=False).fit(X, labels)
    assert (free.predict(X) == 1).mean() < 0.75


def test_history() -> None:
    X, _, labels, theta = biased()
    history = a_classifier(theta=theta).fit(X, labels).history_
    assert len(history["train_risk"]) == len(history["validation_risk"]) == 20
    assert history["best_epoch"] == int(np.argmin(history["validation_risk"]))


def test_not_fitted() -> None:
    X = np.zeros((10, 5))
    for method in ("predict", "predict_proba", "decision_function"):
        with pytest.raises(NotFittedError):
            getattr(UUClassifier(), method)(X)


def test_random_state() -> None:
    X, _, labels, theta = biased()

    def scores(random_state: Any) -> NDArray[np.float32]:
        return a_classifier(theta=theta, random_state=random_state, epochs=3).fit(X, labels).predict_proba(X)

    first = scores(3)
    assert (first == scores(3)).all()
    assert (first == scores(np.random.RandomState(3))).all()
    assert (first != scores(4)).any()
    shared = np.random.RandomState(3)
    assert (scores(shared) == first).all()
    assert (scores(shared) != first).any()  # it moved on
    assert (scores(None) != scores(None)).any()


def test_inside_scikit_learn() -> None:
    X, _, labels, theta = biased(200)
    search = GridSearchCV(
        make_pipeline(MinMaxScaler(), a_classifier(theta=theta, epochs=3)), {"uuclassifier__hidden_units": [0, 4]}, cv=2
    )
    search.fit(X, labels)
    assert search.predict(X).shape == (200,)
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    assert (again.predict_proba(X) == search.predict_proba(X)).all()


# Features


def test_data_frames() -> None:
    X, _, labels, theta = biased()
    frame = pd.DataFrame(X, columns=list("abcde"), index=range(50, 650))
    fitted = a_classifier(theta=theta).fit(frame, labels)
    assert fitted.feature_names_in_.tolist() == list("abcde")
    assert fitted.n_features_in_ == 5
    of_array = a_classifier(theta=theta).fit(X, labels).predict_proba(X)
    assert fitted.predict_proba(frame) == pytest.approx(of_array, abs=1e-5)
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.predict(frame[list("edcba")])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_precisions(dtype: type) -> None:
    X, truth, labels, theta = biased()
    fitted = a_classifier(theta=theta).fit(X.astype(dtype), labels)
    assert fitted.score(X, truth) > 0.95
    assert fitted.predict_proba(X.astype(np.float16)) == pytest.approx(fitted.predict_proba(X), abs=0.02)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.bool_, ">f4", np.longdouble])
def test_other_numbers_are_converted(dtype: Any) -> None:
    X, _, labels, theta = biased(100)
    X = X.clip(0).astype(dtype)
    fitted = a_classifier(theta=theta, epochs=2).fit(X, labels)
    again = a_classifier(theta=theta, epochs=2).fit(X.astype(np.float32), labels)
    assert fitted.predict_proba(X) == pytest.approx(again.predict_proba(X), abs=1e-6)


@pytest.mark.parametrize("rows", [slice(None, None, -1), slice(None, None, 2)])
@pytest.mark.parametrize("columns", [slice(None, None, -1), slice(None)])
def test_views(rows: slice, columns: slice) -> None:
    X, _, labels, theta = biased(200)
    view, copy = X[rows, columns], X[rows, columns].copy()
    fitted = a_classifier(theta=theta, epochs=3).fit(view, labels[rows])
    again = a_classifier(theta=theta, epochs=3).fit(copy, labels[rows])
    assert fitted.predict_proba(view) == pytest.approx(again.predict_proba(copy), abs=1e-6)


# Refusals


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"theta": np.eye(3)}, r"theta has shape \(3, 3\), but 2 classes occur in y"),
        ({"theta": [0.5, 0.5]}, "theta has shape"),
        ({"theta": [[0.5, 0.5], [0.5, 0.5]]}, "theta is singular"),
        ({"theta": [[0.5, 0.6], [0.5, 0.5]]}, "each row of theta"),
        ({"theta": THETA, "class_prior": [1 / 3] * 3}, "class_prior must have 2 entries"),
        ({"theta": THETA, "class_prior": [0.9, 0.9]}, "class_prior must hold shares"),
        ({"loss": "hinge"}, "loss must be one of"),
        ({"correction": "clip"}, "correction must be one of"),
        ({"leak": 2}, "leak must be"),
    ],
)
def test_settings_that_do_not_fit(settings: dict[str, Any], message: str) -> None:
    X, _, labels, _ = biased(100)
    with pytest.raises(InputError, match=message):
        a_classifier(**settings).fit(X, labels)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_features_that_are_not_finite(dtype: type, bad: float) -> None:
    X, _, labels, _ = biased(100)
    fitted = a_classifier(epochs=1).fit(X, labels)
    X = X.astype(dtype)
    X[6, 2] = bad
    with pytest.raises(InputError, match="row 7 "):
        a_classifier().fit(X, labels)
    with pytest.raises(InputError, match="row 7 "):
        fitted.predict(X)


def test_one_class() -> None:
    X, *_ = biased(20)
    with pytest.raises(InputError, match="only one class"):
        a_classifier().fit(X, ["good"] * 20)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_missing_labels(missing: Any) -> None:
    X, *_ = biased(20)
    y = np.array(["bad", "good"] * 10, dtype=object)
    y[3] = missing
    with pytest.raises((ValueError, TypeError)):
        a_classifier().fit(X, y)
