"""`silr.estimate`: all the estimates of a run or a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from silr.estimate.evidence import Evidence, read_evidence
from silr.estimate.quality import quality
from silr.estimate.result import Estimates, Row
from silr.estimate.shares import Shares

if TYPE_CHECKING:
    import pandas as pd


def estimate(
    source: str | Path | pd.DataFrame, by: str | Sequence[str] = (), *, gold_column: str = "gold"
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
    return estimate_evidence(read_evidence(source, gold_column), [by] if isinstance(by, str) else list(by))


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
        rows,
        differences,
        [row for column in evidence.labels for row in quality(evidence, column)],
        evidence.predictor,
        evidence.assumptions,
        list(by),
    )
