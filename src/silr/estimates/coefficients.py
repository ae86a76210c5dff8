"""A regression as rows of a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import TYPE_CHECKING

from silr.io.files import Json

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Coefficient:
    """A coefficient with its robust standard error and 95 % interval."""

    term: str
    value: float
    error: float  # standard error
    t: float  # the value divided by its standard error
    df: float  # degrees of freedom of Student's distribution
    p: float  # two-sided, of the hypothesis that it is 0
    low: float
    high: float

    def to_dict(self) -> Json:
        """For JSON, with null for what is no number."""
        values = asdict(self)
        return {name: None if isinstance(v, float) and not isfinite(v) else v for name, v in values.items()}


@dataclass(frozen=True)
class Regression:
    """A regression on the whole corpus, corrected by the gold labels.

    Attributes
    ----------
    formula : str
    family : {"linear", "logistic"}
    target : {"population", "corpus"}
        Whether the standard errors are those of texts that are a sample, or of this corpus as it is.
    outcome : str
    has_label : bool
        Whether the formula names a class at all.
    texts, gold, dropped : int
        Texts of the regression; gold labels that judge among them; and texts left out, without a value somewhere.
    power : float
        How far the model's predictions are used; 1 is design-based supervised learning, 0 gold labels alone.
    coefficients : list of Coefficient
    gold_alone : list of Coefficient
        Weighted regression on the gold texts alone; empty where it has no finite estimate.
    naive : dict of str to list of Coefficient
        The regression as if labels were true, by column of labels. It is biased. Empty where it cannot be fitted.
    notes : list of str
        What to know before it is used.
    """

    formula: str
    family: str
    target: str
    outcome: str
    has_label: bool
    texts: int
    gold: int
    dropped: int
    power: float
    coefficients: list[Coefficient]
    gold_alone: list[Coefficient]
    naive: dict[str, list[Coefficient]]
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> Json:
        """For JSON."""
        about = ("formula", "family", "target", "outcome", "texts", "gold", "dropped", "power", "notes")
        return {
            **{name: getattr(self, name) for name in about},
            "coefficients": [row.to_dict() for row in self.coefficients],
            "gold_alone": [row.to_dict() for row in self.gold_alone],
            "naive": {name: [row.to_dict() for row in rows] for name, rows in self.naive.items()},
        }

    def to_frame(self) -> pd.DataFrame:
        """One row a coefficient, with the columns of `Coefficient`."""
        import pandas as pd

        return pd.DataFrame([asdict(row) for row in self.coefficients])
