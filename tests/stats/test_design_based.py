"""Regressions on labels: those of statsmodels where every label is known, and intervals that hold where few are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from silr.stats.design_based import LINEAR, LOGISTIC, ClassDesign, DesignBased, collinear

NOTHING = np.array([], dtype=np.intp)


def texts(n: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Regressor, class, an outcome that depends on both, and probabilities that are of no use."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=n)
    label = (rng.random(n) < expit(-0.5 + x)).astype(int)
    y = (rng.random(n) < expit(x + label - 0.5)).astype(float)
    p = rng.uniform(0.1, 0.9, n)
    return x, label, y, np.column_stack([1 - p, p])


def outcome_design(x: np.ndarray) -> ClassDesign:
    return ClassDesign(
        np.column_stack([np.ones_like(x), x]),
        NOTHING,
        np.zeros((2, len(x), 0)),
        np.eye(2)[1][:, None] * np.ones_like(x),
    )


def regressor_design(x: np.ndarray, y: np.ndarray) -> ClassDesign:
    fixed = np.column_stack([np.ones_like(x), x, np.full_like(x, np.nan)])
    return ClassDesign(fixed, np.array([2]), np.eye(2)[1][:, None, None] * np.ones((2, len(x), 1)), np.stack([y, y]))


@pytest.mark.parametrize("family", [LINEAR, LOGISTIC])
@pytest.mark.parametrize("side", ["outcome", "regressor"])
@pytest.mark.parametrize("power", [1.0, 0.0, 0.6, None])
def test_with_all_texts_gold_it_is_the_regression_of_statsmodels(family: str, side: str, power: float | None) -> None:
    api = pytest.importorskip("statsmodels.api")
    x, label, y, p = texts()
    design = outcome_design(x) if side == "outcome" else regressor_design(x, y)
    X = np.column_stack([np.ones_like(x), x, label])[:, : design.fixed.shape[1]]
    known = np.zeros(len(x), dtype=bool)
    found = DesignBased(design, p, label, np.ones(len(x)), known, family).fit(power)
    model = (api.OLS if family == LINEAR else api.Logit)(label if side == "outcome" else y, X)
    wanted = model.fit(cov_type="HC0", **({} if family == LINEAR else {"disp": 0}))
    assert found is not None
    np.testing.assert_allclose(found.value, wanted.params, atol=1e-6)
    hc1 = np.sqrt(len(x) / (len(x) - X.shape[1]))
    np.testing.assert_allclose(found.error, hc1 * wanted.bse, atol=1e-6)
    np.testing.assert_allclose(found.degrees, len(x) - X.shape[1])


def test_power_1_regresses_the_pseudo_outcome_and_power_0_the_gold_labels() -> None:
    x, label, _, p = texts()
    X = np.column_stack([np.ones_like(x), x])
    rng = np.random.default_rng(1)
    rows = rng.choice(len(x), 60, replace=False)
    w = np.zeros(len(x))
    w[rows] = rng.uniform(1, 9, 60)
    scaled = w * (len(x) / w.sum())
    based = DesignBased(outcome_design(x), p, label, w, np.zeros(len(x), dtype=bool))
    pseudo = p[:, 1] + scaled * (label - p[:, 1])
    dsl, alone = based.fit(1.0), based.fit(0.0)
    assert dsl is not None and alone is not None
    np.testing.assert_allclose(dsl.value, np.linalg.lstsq(X, pseudo, rcond=None)[0], atol=1e-10)
    root = np.sqrt(w)[:, None]
    np.testing.assert_allclose(alone.value, np.linalg.lstsq(root * X, root[:, 0] * label, rcond=None)[0], atol=1e-10)


def test_the_equation_of_a_label_as_regressor_is_solved() -> None:
    """By the rows of an augmented table: each text under each class, and the gold texts again."""
    x, label, y, p = texts()
    n = len(x)
    w = np.zeros(n)
    w[:60] = n / 60
    known = np.zeros(n, dtype=bool)
    known[-20:] = True
    p[known] = np.eye(2)[label[known]]
    found = DesignBased(regressor_design(x, y), p, label, w, known, LOGISTIC).fit(0.7)
    assert found is not None
    scaled = w * ((n - 20) / w.sum())
    score = np.zeros(3)
    for i in range(n):
        share = 1.0 if known[i] else 0.7 * (1 - scaled[i])
        for count, k in ((share * p[i, 0], 0), (share * p[i, 1], 1), (scaled[i], label[i])):
            row = np.array([1, x[i], k])
            score += count * row * (y[i] - expit(row @ found.value))
    np.testing.assert_allclose(score, 0, atol=1e-7)


def test_the_power_is_0_for_predictions_of_no_use_and_1_for_perfect_ones() -> None:
    x, label, _, p = texts()
    w = np.where(np.arange(len(x)) < 100, 3.0, 0.0)
    known = np.zeros(len(x), dtype=bool)
    useless = DesignBased(outcome_design(x), p, label, w, known).fit()
    perfect = DesignBased(outcome_design(x), np.eye(2)[label], label, w, known).fit()
    assert useless is not None and useless.power < 0.5
    assert perfect is not None and perfect.power == pytest.approx(1)
    everything = np.linalg.lstsq(np.column_stack([np.ones_like(x), x]), label, rcond=None)[0]
    np.testing.assert_allclose(perfect.value, everything, atol=1e-10)


def test_the_units_of_the_columns_do_not_matter() -> None:
    x, label, y, p = texts()
    w = np.where(np.arange(len(x)) < 100, 3.0, 0.0)
    known = np.zeros(len(x), dtype=bool)
    plain = DesignBased(regressor_design(x, y), p, label, w, known).fit()
    design = regressor_design(x * 1000, y)
    back = np.diag([1, 1000, 1])
    scaled = DesignBased(design, p, label, w, known, back=back).fit()
    assert plain is not None and scaled is not None
    for field in ("value", "error", "degrees", "power"):
        np.testing.assert_allclose(getattr(scaled, field), getattr(plain, field), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("side", ["outcome", "regressor"])
def test_intervals_hold_the_regression_of_all_true_labels(side: str) -> None:
    """150 draws from one corpus, whose LLM errs more often where x is large."""
    rng = np.random.default_rng(4)
    x, label, y, _ = texts(600)
    q = np.where(rng.random(600) < np.where(x > 0, 0.3, 0.1), 1 - label, label) * 0.7 + 0.15
    p, known = np.column_stack([1 - q, q]), np.zeros(600, dtype=bool)
    design = outcome_design(x) if side == "outcome" else regressor_design(x, y)
    truth = DesignBased(design, np.eye(2)[label], label, np.zeros(600), ~known).fit(1.0)
    assert truth is not None
    covered, narrower = [], []
    for _ in range(150):
        w = np.zeros(600)
        w[rng.choice(600, 80, replace=False)] = 7.5
        based = DesignBased(design, p, label, w, known)
        found, alone = based.fit(population=False), based.fit(0.0, population=False)
        assert found is not None and alone is not None
        low, high = found.limits()
        covered.append((low <= truth.value) & (truth.value <= high))
        narrower.append(found.error / alone.error)
    assert (np.mean(covered, axis=0) >= 0.9).all() and np.mean(covered) >= 0.93
    assert (np.mean(narrower, axis=0) < 1).all()


def test_no_finite_estimate_is_none() -> None:
    x, label, _, _ = texts()
    separated = (x > 0).astype(int)
    known = np.ones(len(x), dtype=bool)
    assert (
        DesignBased(outcome_design(x), np.eye(2)[separated], label, np.zeros(len(x)), known, LOGISTIC).fit(1.0) is None
    )


def test_collinear_names_the_first_column_that_follows_from_others() -> None:
    x = np.random.default_rng(0).normal(size=(50, 2))
    X = np.column_stack([np.ones(50), x, x[:, 0] - 2, x[:, 1]])
    assert collinear(X.T @ X) == 3 and collinear(X[:, :3].T @ X[:, :3]) is None
    assert collinear(np.diag([1.0, 0.0])) == 1
