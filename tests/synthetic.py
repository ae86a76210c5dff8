"""A corpus of known truth with the labels of a biased annotator, small enough to refine in a second."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from silr.label.draw import draw_texts

FILLER = [f"word{number}" for number in range(20)]


@dataclass(frozen=True)
class Corpus:
    """Texts, features (n, 32), true and biased labels (str), gold labels (None where there is none) and weights."""

    texts: list[str]
    features: NDArray[np.float32]
    truth: NDArray[np.str_]
    llm_labels: NDArray[np.str_]
    gold: NDArray[np.object_]
    gold_weight: NDArray[np.float64]

    @property
    def llm_accuracy(self) -> float:
        return float((self.llm_labels == self.truth).mean())

    def table(self) -> pd.DataFrame:
        weight = np.where([label is None for label in self.gold], np.nan, self.gold_weight)
        columns = {"text": self.texts, "llm_label": self.llm_labels, "gold": self.gold, "gold_weight": weight}
        return pd.DataFrame({**columns, "truth": self.truth})

    def write(self, folder: Path, name: str = "table.csv", **columns: object) -> Path:
        """Write the table, with some columns replaced or added."""
        frame = self.table().assign(**columns)
        path = folder / name
        if ".parquet" in name:
            frame.to_parquet(path)
        elif ".jsonl" in name:
            frame.to_json(path, orient="records", lines=True)
        else:
            frame.to_csv(path, index=False)
        return path


def make_corpus(
    n: int = 1200,
    classes: tuple[str, ...] = ("negative", "positive"),
    *,
    n_gold: int = 60,
    bias: float = 0.6,
    seed: int = 0,
) -> Corpus:
    """The annotator gives the last class to `bias` of the texts of other classes, and any class to 5 % of all.

    What a class adds to a text is spread over many words, and over all features, as in real embeddings.
    """
    rng = np.random.default_rng(seed)
    K = len(classes)
    truth = rng.integers(K, size=n)
    codes = np.where(rng.random(n) < bias, K - 1, truth)
    codes = np.where(rng.random(n) < 0.05, rng.integers(K, size=n), codes)
    names = np.array(classes)
    vocabulary = np.concatenate([FILLER, *[[f"{name}{number}" for number in range(6)] for name in classes]])
    words = rng.integers(len(FILLER), size=(n, 9))
    words[:, :6] = len(FILLER) + 6 * truth[:, None] + rng.integers(6, size=(n, 6))
    texts = [" ".join(row) for row in vocabulary[words].tolist()]
    signal = rng.normal(size=(n, 16)) + 3 * rng.normal(size=(K, 16))[truth] / 4
    features = (signal @ rng.normal(size=(16, 32)) / 4).astype(np.float32)
    rows, weights = draw_texts(codes, n_gold, seed)
    gold, gold_weight = np.full(n, None, dtype=object), np.ones(n)
    gold[rows], gold_weight[rows] = names[truth[rows]].tolist(), weights
    return Corpus(texts, features, names[truth], names[codes], gold, gold_weight)
