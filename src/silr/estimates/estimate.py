"""`silr.estimate`: all the estimates of a run or a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from silr.estimates.evidence import Evidence, groups_of, read_evidence
from silr.estimates.naive import counted_labels, with_naive
from silr.estimates.quality import quality
from silr.estimates.regression import regress
from silr.estimates.result import Estimates, Row
from silr.estimates.shares import Shares

if TYPE_CHECKING:
    import pandas as pd


def estimate(
    source: str | Path | pd.DataFrame,
    by: str | Sequence[str] = (),
    *,
    gold_column: str = "gold",
    label_columns: Sequence[str] = (),
    formula: str | None = None,
    family: str = "linear",
    target: str = "population",
    drop_missing: bool = False,
) -> Estimates:
    """Estimate the shares of the classes and the quality of the labels, each with a 95 % interval.

    What a model expects of all texts is corrected by the gold labels (prediction-powered inference), so the numbers are
    right on average even where the model is wrong.

    Parameters
    ----------
    source : str, Path or DataFrame
        A run of `silr refine`; or a table with LLM labels and gold labels.
    by : str or sequence of str, default ()
        Columns of the table; the shares are also estimated for each group of texts that have the same values in them.
    gold_column : str, default "gold"
        Of a table; a run knows its own.
    label_columns : sequence of str, default ()
        Columns with the LLMs' labels, of a table; none: ``llm_label`` and every ``llm_label_NAME``.
    formula : str, default None
        A regression on all texts, such as ``"hostile ~ party + year"``, by design-based supervised learning. The name
        of a class is 1 for a text of that class and 0 for others (``Q("not hostile")`` where it has a blank); other
        names are columns. It needs ``pip install 'silr[estimate]'``.
    family : {"linear", "logistic"}, default "linear"
        Of the regression. Linear coefficients of a class are differences of its share.
    target : {"population", "corpus"}, default "population"
        Of its standard errors: the texts are a sample of more texts like them, or the corpus is all there is.
    drop_missing : bool, default False
        Leave texts without a value in the formula's columns out. False: refuse.

    Returns
    -------
    Estimates
        Its ``regression`` has the coefficients.

    Raises
    ------
    InputError
        The source cannot be read, it has fewer than 10 gold labels that judge, a column is missing, or the formula
        cannot be read or fitted.

    References
    ----------
    Angelopoulos, Duchi, Zrnic, "PPI++: efficient prediction-powered inference", 2023 (arXiv 2311.01453).
    Egami, Hinck, Stewart, Wei, "Using imperfect surrogates for downstream inference: design-based supervised
    learning", NeurIPS 2023 (arXiv 2306.04746).

    Examples
    --------
    An LLM calls half of the texts "b"; by the gold labels it is right on each "b" and on half of the "a".

    >>> import pandas as pd
    >>> gold = ["a", "b", "b", "b"] * 10 + [None] * 60
    >>> frame = pd.DataFrame({"text": "words", "llm_label": ["a", "b"] * 50, "gold": gold})
    >>> from silr import estimate
    >>> row = estimate(frame).shares[1]
    >>> f"{row.class_name}: {row.value:.2f} ({row.low:.2f} to {row.high:.2f})"
    'b: 0.75 (0.64 to 0.83)'
    """
    evidence = read_evidence(source, gold_column, label_columns)
    regression = None
    if formula is not None:
        regression = regress(evidence, formula, family=family, target=target, drop_missing=drop_missing)
    return replace(estimate_evidence(evidence, [by] if isinstance(by, str) else list(by)), regression=regression)


def estimate_evidence(evidence: Evidence, by: Sequence[str] = ()) -> Estimates:
    """The same of evidence that was read."""
    shares = Shares(evidence)
    rows = shares.overall()
    differences: list[Row] = []
    if by:
        of_groups, differences = shares.by_group(by)
        rows += of_groups
    return Estimates(
        evidence.name,
        evidence.class_names,
        len(evidence),
        len(evidence.rows),
        with_naive(evidence, rows, by),
        with_naive(evidence, differences, by),
        [row for column in evidence.labels for row in quality(evidence, column)],
        evidence.predictor,
        evidence.assumptions,
        list(by),
        remarks=_left_out(evidence, by) + _without_gold(evidence),
        power=shares.power,
        as_they_are=int(evidence.known.sum()),
        counted=counted_labels(evidence)[0],
        label_command=evidence.label_command,
    )


def _left_out(evidence: Evidence, by: Sequence[str]) -> list[str]:
    """How many texts are in no group, since a column is empty."""
    count = int((groups_of(evidence, by)[0] < 0).sum()) if by else 0
    columns = " or ".join(map(repr, by))
    return (
        [f"{count:,} texts have no value in {columns}: they are in no group, and count for all texts"] if count else []
    )


def _without_gold(evidence: Evidence) -> list[str]:
    """Classes that no gold label has: their numbers come from the model, and nothing checks them."""
    there = set(evidence.gold[evidence.rows].tolist())
    names = [f"\u201c{name}\u201d" for k, name in enumerate(evidence.class_names) if k not in there]
    if not names:
        return []
    return [f"no gold label is {' or '.join(names)}, so nothing checks the numbers of it: label more texts"]
