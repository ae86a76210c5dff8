"""Estimates as rows of a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import TYPE_CHECKING

from silr.estimates.coefficients import Regression
from silr.estimates.enough import WIDTH, checked_width, more_for_all
from silr.io.files import Json

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Row:
    """One number with its 95 % interval."""

    measure: str  # share, difference, accuracy, precision, recall, f1, macro_f1, kappa, alpha
    value: float  # NaN where it cannot be told
    low: float
    high: float
    gold: int  # gold labels that judge it
    labels: str | None = None  # the column that is judged
    class_name: str | None = None
    group: str | None = None  # as "party=left, year=2020"; of a difference the first group
    less: str | None = None  # of a difference, the group that is taken away
    worth: float | None = None  # simple random gold labels that would know as much
    note: str | None = None  # what to know before it is used
    naive: float | None = None  # the same by counting the LLM's labels, without any gold label

    @property
    def width(self) -> float:
        """Of the interval."""
        return self.high - self.low

    def to_dict(self) -> Json:
        """For JSON, without what is unknown."""
        values = {name: _known(value) for name, value in asdict(self).items()}
        return {name: value for name, value in values.items() if value is not None or name in ("value", "low", "high")}


def _known(value: object) -> object:
    """None for what JSON has no number for."""
    return None if isinstance(value, float) and not isfinite(value) else value


@dataclass(frozen=True)
class Estimates:
    """What `silr.estimate` returns.

    Attributes
    ----------
    name : str
        The table or run.
    classes : list of str
    texts, gold : int
        Texts of the corpus, and gold labels that judge.
    shares, differences, quality : list of Row
        Shares of the classes in all texts and by group; differences of groups; and how good labels are.
    predictor : str
        Where the predictions come from.
    assumptions : list of str
        A sentence each.
    by : list of str
        Columns that make the groups.
    remarks : list of str
        What was left out, a sentence each.
    power : float
        How far the predictions are used, from 0 (the gold labels alone) to 1.
    as_they_are : int
        Further gold labels, which nobody knows how likely they were to be drawn: each counts for its own text.
    counted : str
        Whose labels were counted for `Row.naive`.
    regression : Regression, default None
        If a formula was given.
    label_command : str or None
        The beginning of the `silr label` command that adds gold labels to the table, if there is one on the disk.
    """

    name: str
    classes: list[str]
    texts: int
    gold: int
    shares: list[Row]
    differences: list[Row]
    quality: list[Row]
    predictor: str
    assumptions: list[str] = field(default_factory=list)
    by: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    power: float = 1.0
    as_they_are: int = 0
    counted: str = "the LLM's labels"
    regression: Regression | None = None
    label_command: str | None = None

    @property
    def tables(self) -> dict[str, list[Row]]:
        """The rows by table."""
        return {name: getattr(self, name) for name in ("shares", "differences", "quality")}

    @property
    def rows(self) -> list[Row]:
        """All of them."""
        return [row for rows in self.tables.values() for row in rows]

    def more_labels(self, width: float = WIDTH) -> int | None:
        """How many more gold labels bring the intervals of all classes' shares to a width.

        Further labels are thought to be drawn as those so far, and the predictions to stay as good as they are.

        Parameters
        ----------
        width : float, default 0.05
            From the lower to the upper limit, for the shares in all texts; 0.05 are 5 points.

        Returns
        -------
        int or None
            0 if they are narrow enough; None if that is not known.

        Raises
        ------
        InputError
            The width is not between 0 and 1.
        """
        whole = [row for row in self.shares if row.group is None]
        return more_for_all(whole, checked_width(width), self.texts)

    def to_dict(self) -> Json:
        """For JSON."""
        about = ["name", "classes", "texts", "gold", "as_they_are", "predictor", "power", "counted"]
        about += ["assumptions", "remarks", "by"]
        values = {name: getattr(self, name) for name in about}
        regression = {} if self.regression is None else {"regression": self.regression.to_dict()}
        tables = {name: [row.to_dict() for row in rows] for name, rows in self.tables.items()}
        return {**values, **tables, **regression}

    def to_frame(self) -> pd.DataFrame:
        """One row a number, with the columns of `Row`."""
        import pandas as pd

        return pd.DataFrame([asdict(row) for row in self.rows])
