"""`silr.estimate`: all the estimates of a run or a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from silr.estimate.evidence import Evidence, groups_of, read_evidence
from silr.estimate.naive import counted_labels, with_naive
from silr.estimate.quality import quality
from silr.estimate.result import Estimates, Row
from silr.estimate.shares import Shares

if TYPE_CHECKING:
    import pandas as pd


def estimate(
    source: str | Path | pd.DataFrame,
    by: str | Sequence[str] = (),
    *,
    gold_column: str = "gold",
    label_columns: Sequence[str] = (),
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

    Returns
    -------
    Estimates

    Raises
    ------
    InputError
        The source cannot be read, it has fewer than 10 gold labels that judge, or a column is missing.

    References
    ----------
    Angelopoulos, Duchi, Zrnic, "PPI++: efficient prediction-powered inference", 2023 (arXiv 2311.01453).
    """
    return estimate_evidence(
        read_evidence(source, gold_column, label_columns), [by] if isinstance(by, str) else list(by)
    )


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
        remarks=_left_out(evidence, by),
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
