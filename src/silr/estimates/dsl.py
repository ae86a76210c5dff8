"""Columns that make anybody's regression of a label valid: the outcomes of design-based supervised learning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError
from silr.estimates.evidence import Evidence, read_evidence
from silr.estimates.from_gold import DSL
from silr.io.files import check_writable
from silr.io.pieced_table import PiecedTable, write_changed
from silr.io.tables import split_suffix
from silr.refine.labels import labels_path
from silr.refine.table import Columns

if TYPE_CHECKING:
    import pandas as pd


def dsl_outcomes(source: str | Path | pd.DataFrame, *, gold_column: str = "gold") -> pd.DataFrame:
    """Return what stands for each text's true label in a regression, one column ``dsl_CLASS`` a class.

    It is the probability that the model gives the class. A gold text adds its error, multiplied by the number of texts
    that the gold label speaks for. So it may be below 0 or above 1. Its mean in any group of texts is right on average,
    and so is a linear regression of it on anything.

    Parameters
    ----------
    source : str, Path or DataFrame
        A run of `silr refine`; or a table with LLM labels and gold labels.
    gold_column : str, default "gold"
        Of a table; a run knows its own.

    Returns
    -------
    DataFrame of shape (n, K)
        With the index 0 to n - 1, in the order of the texts.

    Raises
    ------
    InputError
        As `silr.estimate`.

    References
    ----------
    Egami, Hinck, Stewart, Wei, "Using imperfect surrogates for downstream inference: design-based supervised
    learning", NeurIPS 2023 (arXiv 2306.04746), section 3.

    Examples
    --------
    >>> import pandas as pd
    >>> labels = ["a", "b"] * 20
    >>> frame = pd.DataFrame({"text": "words", "llm_label": labels, "gold": labels[:20] + [None] * 20})
    >>> from silr import dsl_outcomes
    >>> dsl_outcomes(frame).round(2).iloc[0].to_dict()
    {'dsl_a': 1.05, 'dsl_b': -0.05}
    """
    import pandas as pd

    evidence = read_evidence(source, gold_column)
    outcomes = pseudo_outcomes(evidence)
    return pd.DataFrame({DSL + name: column for name, column in zip(evidence.class_names, outcomes.T, strict=True)})


def pseudo_outcomes(evidence: Evidence) -> NDArray[np.float64]:
    """``p_ik + w_i (y_ik - p_ik)``, shape (n, K); the weights sum to the number of texts that are not `known`."""
    outcomes, rows = evidence.expected, evidence.rows
    weights = evidence.weights[rows] * ((~evidence.known).sum() / evidence.weights[rows].sum())
    truth = np.eye(len(evidence.class_names))[evidence.gold[rows]]
    outcomes = outcomes.copy()
    outcomes[rows] += weights[:, None] * (truth - outcomes[rows])
    return outcomes


def write_dsl(
    source: str | Path,
    output: Path | None,
    say: Callable[[str], None],
    gold_column: str = Columns.gold,
    label_columns: Sequence[str] = (),
) -> Path:
    """Write the table of a run, or a table, with the columns ``dsl_CLASS``; other columns stay as they are.

    No `output`: into ``labels.csv`` of the run, atomically.
    """
    evidence = read_evidence(source, gold_column, label_columns)
    own = labels_path(Path(source))
    if output is None:
        if not Path(source).is_dir():
            raise InputError(f"{source} is a table: say with -o FILE where the one with the columns dsl_CLASS goes")
        if Path(evidence.name) != own:
            raise InputError(f"{own} is not the table of this run (missing or edited): write another one with -o FILE")
    path = own if output is None else output
    if not isinstance(evidence.frame, PiecedTable):
        split_suffix(path)
        check_writable(path)
    outcomes = pseudo_outcomes(evidence)

    def add(frame: pd.DataFrame, rows: slice) -> None:
        for name, column in zip(evidence.class_names, outcomes[rows].T, strict=True):
            frame[DSL + name] = [float(f"{value:.6g}") for value in column]

    write_changed(evidence.frame, path, add, command=None if output is None else "estimate --dsl")
    names = ", ".join(DSL + name for name in evidence.class_names)
    say(f"written: {path} with {names}; use robust standard errors")
    for line in evidence.assumptions:
        say(f"Assumed: {line}.")
    return path
