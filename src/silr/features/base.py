"""What any kind of features can do."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from silr.io.files import Json

Matrix = Any  # an array with one row a text, or `silr.hf.tokens.Tokens`


class Features(Protocol):
    """A way to turn texts into a matrix with one row a text."""

    @property
    def record(self) -> Json:
        """What identifies it, as JSON values."""
        ...

    def fit_transform(self, texts: Sequence[str]) -> Matrix:
        """Features of the corpus, shape (n, d)."""
        ...

    def transform(self, texts: Sequence[str]) -> Matrix:
        """Features of new texts, shape (n, d), by the very same transform."""
        ...

    def save(self, folder: Path) -> None:
        """Write what `transform` needs into an existing folder."""
        ...
