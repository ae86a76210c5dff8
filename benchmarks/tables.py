"""Tables with true labels: their split into corpus and test part, gold labels drawn from the corpus, and scores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import f1_score

from silr.corpus import features_path, label_column, read_table, score_classes, score_columns, text_column
from silr.label.draw import draw_texts
from silr.tfidf import TfidfFeatures

TABLES = ["movie", "amazon", "nyt", "tweets", "laroseda", "corona", "offensive", "nsmc", "liar", "bace"]


@dataclass(frozen=True)
class Split:
    """One seed's split of a table into corpus and test part: each pair is (corpus, test). Labels are class codes.

    `features` are the annotator's hidden states, or TF-IDF of the corpus where the table has none; `scores` the LLM's
    log-probabilities, one column a class.
    """

    classes: list[str]
    texts: tuple[list[str], list[str]]
    features: tuple[Any, Any]
    scores: tuple[Any, Any]
    llm: tuple[Any, Any]
    truth: tuple[Any, Any]
    seed: int
    has_states: bool = True


def split(table: Path, seed: int, rows: int | None = None) -> Split:
    """Split a table, or so many rows of it, 8:2; who trains splits the corpus 7:1 into training and validation."""
    frame = read_table(table)
    chosen = np.arange(len(frame)) if rows is None else np.random.default_rng(0).permutation(len(frame))[:rows]
    frame = frame.iloc[chosen]
    classes = score_classes(frame)
    code = {name: number for number, name in enumerate(classes)}
    columns = [np.array([code[label] for label in label_column(frame, name)]) for name in ("llm_label", "truth")]
    texts = np.array(text_column(frame), dtype=object)
    scores = score_columns(frame, classes)
    order = np.random.default_rng(seed).permutation(len(frame))
    parts = order[len(frame) // 5 :], order[: len(frame) // 5]
    words = tuple(list(texts[part]) for part in parts)
    has_states = features_path(table).exists()
    if has_states:
        matrix = np.load(features_path(table), mmap_mode="r")
        features = tuple(np.asarray(matrix[chosen[part]], dtype=np.float32) for part in parts)
    else:
        tfidf = TfidfFeatures()
        features = tfidf.fit_transform(words[0]), tfidf.transform(words[1])
    llm, truth = (tuple(column[part] for part in parts) for column in columns)
    return Split(classes, words, features, tuple(scores[part] for part in parts), llm, truth, seed, has_states)


def draw_gold(part: Split, n_gold: int) -> tuple[Any, Any]:
    """Gold labels of the corpus, drawn as `silr label` does: codes, -1 where there is none, and weights."""
    gold, weight = np.full(len(part.llm[0]), -1, np.int16), np.full(len(part.llm[0]), np.nan)
    if n_gold:
        rows, weights = draw_texts(part.llm[0], n_gold, part.seed, part.scores[0])
        gold[rows], weight[rows] = part.truth[0][rows], weights
    return gold, weight


def mean_and_deviation(values: list[float]) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values):.3f}" if values else "-"


def score(truth: Any, labels: Any) -> dict[str, float]:
    return {"accuracy": float((truth == labels).mean()), "macro_f1": float(f1_score(truth, labels, average="macro"))}
