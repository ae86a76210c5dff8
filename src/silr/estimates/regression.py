"""Regressions on the whole corpus with labels as the outcome or as regressors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError
from silr.estimates.coefficients import Coefficient, Regression
from silr.estimates.evidence import CLASSIFIER, Evidence
from silr.estimates.formula import Formula, Terms, missing_of, read_formula, terms_of, values_of
from silr.stats.design_based import LINEAR, LOGISTIC, ClassDesign, Coefficients, DesignBased, collinear

FAMILIES, TARGETS = (LINEAR, LOGISTIC), ("population", "corpus")
FEW_GOLD = 5  # gold labels that tell a coefficient; with fewer it has a note


def regress(
    evidence: Evidence, formula: str, *, family: str = LINEAR, target: str = "population", drop_missing: bool = False
) -> Regression:
    """Fit a regression of evidence that was read; the parameters are those of `silr.estimate`."""
    for name, value, known in (("family", family, FAMILIES), ("target", target, TARGETS)):
        if value not in known:
            raise InputError(f"{name} must be {' or '.join(known)}, not {value!r}")
    asked = read_formula(formula, evidence)
    _check_gold_of(asked.classes, evidence)
    texts, dropped = _texts(evidence, asked, drop_missing)
    scaled = _scaled(texts.terms, texts.p)
    _check(asked, texts, scaled, family)
    based = DesignBased(scaled.design, texts.p, texts.gold, texts.weights, texts.known, family, scaled.back)
    population = target == "population"
    fitted = based.fit(population=population)
    if fitted is None:
        raise InputError(
            f"{formula!r} has no finite estimate: some regressors tell the outcome without an error (separation), or "
            "the gold labels are too few; leave out a regressor, or "
            + ("take --family linear" if family == LOGISTIC else "label more texts")
        )
    alone = based.fit(0.0, population=population)
    return Regression(
        formula,
        family,
        target,
        asked.outcome,
        bool(asked.classes),
        len(texts.gold),
        len(based.rows),
        dropped,
        fitted.power,
        _rows(scaled.names, fitted),
        [] if alone is None else _rows(scaled.names, alone),
        {name: _naive(scaled, texts, codes, family) for name, codes in texts.labels.items()},
        _notes(texts, scaled, based),
    )


def _check_gold_of(classes: list[str], evidence: Evidence) -> None:
    """InputError if the gold labels are all of a class of the formula, or none is."""
    for name in classes:
        right = evidence.gold[evidence.rows] == evidence.class_names.index(name)
        if right.all() or not right.any():
            count = "all gold labels are" if right.all() else "no gold label is"
            raise InputError(f"{count} {name!r}, so they tell nothing of what goes with it: label more texts")


@dataclass(frozen=True)
class _Texts:
    """What is known of the texts that the regression reads."""

    terms: Terms
    p: NDArray[np.float64]
    gold: NDArray[np.int64]
    weights: NDArray[np.float64]
    known: NDArray[np.bool_]
    labels: dict[str, NDArray[np.int64]]


@dataclass(frozen=True)
class _Scaled:
    """A design whose columns have mean 0 and deviation 1, and the way back."""

    design: ClassDesign
    names: list[str]
    back: NDArray[np.float64]  # shape (p, p), from its coefficients to those of the columns as they were


def _texts(evidence: Evidence, formula: Formula, drop_missing: bool) -> tuple[_Texts, int]:
    values = values_of(evidence, formula)
    missing, columns = missing_of(values, len(evidence))
    dropped = int(missing.sum())
    if dropped and not drop_missing:
        raise InputError(
            f"{dropped:,} of {len(evidence):,} texts have no value in {', '.join(columns)}: fill them in, or leave "
            "these texts out with --drop-missing (drop_missing=True)"
        )
    if dropped == len(evidence):
        raise InputError(f"no text has a value in all of {', '.join(formula.columns)}")
    for name, column in values.items():
        if column.dtype == object and (count := len(set(column[~missing]))) > len(evidence.rows):
            raise InputError(
                f"column {name!r} has {count:,} different words, and each would be a regressor of its own: that is "
                f"more than the {len(evidence.rows):,} gold labels that judge; group them first"
            )
    rows = np.flatnonzero(~missing)
    p = evidence.expected[rows]
    values = {name: column[rows] for name, column in values.items()}
    terms = terms_of(formula, values, evidence.class_names, p.argmax(axis=1))
    weights = np.where(evidence.gold >= 0, evidence.weights, 0.0)[rows]
    labels = {name: codes[rows] for name, codes in evidence.labels.items() if name != CLASSIFIER}
    return _Texts(terms, p, evidence.gold[rows], weights, evidence.known[rows], labels), dropped


def _scaled(terms: Terms, p: NDArray[np.float64]) -> _Scaled:
    """Columns with mean 0, where there is an intercept, and deviation 1, as the model expects them."""
    design, n, columns = terms.design, len(p), len(terms.names)
    fixed, of_class = design.fixed, design.of_class
    mean, square = fixed.mean(axis=0), (fixed**2).mean(axis=0)
    mean[design.varying] = np.einsum("nk,knv->v", p, of_class) / n
    square[design.varying] = np.einsum("nk,knv->v", p, of_class**2) / n
    if terms.intercept is None:
        mean[:] = 0.0
    else:
        mean[terms.intercept] = 0.0
    deviation = np.sqrt(np.maximum(square - mean**2, 0.0))
    deviation[deviation <= 1e-12 * np.sqrt(square)] = 1.0
    back = np.diag(1 / deviation)
    if terms.intercept is not None:
        back[terms.intercept] -= mean / deviation
    v = design.varying
    return _Scaled(
        ClassDesign((fixed - mean) / deviation, v, (of_class - mean[v]) / deviation[v], design.outcome),
        terms.names,
        back.reshape(columns, columns),
    )


def _check(formula: Formula, texts: _Texts, scaled: _Scaled, family: str) -> None:
    design, count = scaled.design, len(scaled.names)
    if family == LOGISTIC and not np.isin(design.outcome, (0.0, 1.0)).all():
        raise InputError(
            f"a logistic regression needs an outcome of 0 and 1, and {formula.outcome!r} has other numbers"
        )
    gold = np.flatnonzero(texts.weights > 0)
    if len(gold) <= count:
        raise InputError(
            f"{formula.text!r} has {count} coefficients, and {len(gold)} gold labels judge: label more texts, or leave "
            "out regressors"
        )
    if (column := collinear(design.gram(texts.p))) is not None:
        raise InputError(
            f"{scaled.names[column]!r} follows from the other regressors (collinearity), or is 0 of all texts: leave "
            "it out of the formula"
        )
    X = _true(design, texts.gold[gold], gold)
    if (column := collinear(X.T @ X / len(X))) is not None:
        raise InputError(
            f"the gold labels cannot tell the coefficient of {scaled.names[column]!r}: no gold text, or every one, "
            "differs in it; label some that differ, or leave it out of the formula"
        )


def _true(design: ClassDesign, gold: NDArray[np.integer], rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """Regressors of texts whose class is known."""
    X = design.fixed[rows].copy()
    X[:, design.varying] = design.of_class[gold, rows]
    return X


def _notes(texts: _Texts, scaled: _Scaled, based: DesignBased) -> list[str]:
    """Coefficients that hang on few gold labels."""
    X = _true(scaled.design, based.gold, based.rows)
    notes = []
    for name, column in zip(scaled.names, X.T, strict=True):
        counts = np.unique(column, return_counts=True)[1]
        others = len(column) - counts.max()
        if len(counts) > 1 and others < FEW_GOLD:
            notes.append(
                f"{name} hangs on {others} gold label{'s' if others > 1 else ''}: label more texts that differ in it"
            )
    return notes


def _naive(scaled: _Scaled, texts: _Texts, codes: NDArray[np.int64], family: str) -> list[Coefficient]:
    """The regression as if labels were true, on texts that have one; nothing if it cannot be fitted."""
    rows = np.flatnonzero(codes >= 0)
    K, d = texts.p.shape[1], scaled.design
    if len(rows) <= len(scaled.names):
        return []
    X, y = _true(d, codes[rows], rows), d.outcome[codes[rows], rows]
    if collinear(X.T @ X / len(X)) is not None:
        return []
    none = np.array([], dtype=np.intp)
    design = ClassDesign(X, none, np.zeros((K, len(rows), 0)), np.broadcast_to(y, (K, len(rows))))
    everything = np.ones(len(rows), dtype=bool)
    p, no_gold = np.eye(K)[codes[rows]], np.zeros(len(rows))
    based = DesignBased(design, p, codes[rows], no_gold, everything, family, scaled.back)
    fitted = based.fit(1.0)
    return [] if fitted is None else _rows(scaled.names, fitted)


def _rows(names: list[str], fitted: Coefficients) -> list[Coefficient]:
    low, high = fitted.limits()
    with np.errstate(divide="ignore", invalid="ignore"):
        t = fitted.value / fitted.error
    columns: Any = zip(fitted.value, fitted.error, t, fitted.degrees, fitted.p_values(), low, high, strict=True)
    return [Coefficient(name, *map(float, numbers)) for name, numbers in zip(names, columns, strict=True)]
