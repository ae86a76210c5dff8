"""Two tasks of alignment whose outcome a judge can measure, and the rewards that are compared on them.

A table is split by the seed into texts for the rewards (with an LLM's labels), texts for the judge (with true labels),
and texts whose first words are the prompts. No text is in two parts.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from silr import LabelRefiner
from silr.errors import NoSignalError
from silr.io.annotator_columns import scored_classes
from silr.io.corpus import label_column, read_table, score_columns, text_column
from silr.label.draw import draw_texts

WORDS, SHORTEST = 5, 10  # of a text: the prompt is its first five words
REWARDS = ("raw", "paper", "silr", "true")


@dataclass(frozen=True)
class Task:
    """A task.

    Attributes
    ----------
    table : str
        Name of the table.
    wanted : str
        The class that completions should have.
    kind, goal : str
        Words for the prompts of self-refinement.
    """

    table: str
    wanted: str
    kind: str
    goal: str


TASKS = {
    "reviews": Task("movie", "positive", "film review", "favourable"),
    "safety": Task("offensive", "harmless", "message", "polite and harmless"),
}


@dataclass(frozen=True)
class Parts:
    """A table split for one seed: rows of the rewards' texts, of the judge's texts, and prompts."""

    frame: pd.DataFrame
    classes: list[str]
    reward_rows: Any
    judge_rows: Any
    other_rows: Any
    prompts: list[str]


def split(folder: Path, task: Task, seed: int, n_prompts: int) -> Parts:
    """Split a table 2:2:1, at most 2,500 texts a part; openings that occur twice are left out."""
    path = folder / f"{task.table}.csv.gz"
    frame = read_table(path).drop_duplicates("text").reset_index(drop=True)
    order = np.random.default_rng(seed).permutation(len(frame))
    size = min(2_500, 2 * len(frame) // 5)
    others = order[2 * size :]
    texts = text_column(frame, path=path)
    openings = [texts[row].split() for row in others]
    prompts = [" ".join(words[:WORDS]) for words in openings if len(words) >= SHORTEST]
    return Parts(
        frame,
        scored_classes(frame) or None,
        order[:size],
        order[size : 2 * size],
        others,
        list(dict.fromkeys(prompts))[:n_prompts],
    )


def write_rewards(parts: Parts, features: list[str], n_gold: int, seed: int, work: Path) -> dict[str, str]:
    """Write one run for each reward and one for the judge; return what was refused, and why.

    raw: a classifier trained on the LLM's labels as if they were true; true: on true labels, the ceiling; paper and
    silr: refined with gold labels. The judge: on true labels of other texts.
    """
    frame = parts.frame
    texts = np.array(text_column(frame), dtype=object)
    llm, truth = (np.array(label_column(frame, name), dtype=object) for name in ("llm_label", "truth"))
    scores = score_columns(frame, parts.classes)
    rows = parts.reward_rows
    codes = np.array([parts.classes.index(label) for label in llm[rows]])
    chosen, weights = draw_texts(codes, n_gold, seed)
    gold, weight = np.full(len(rows), None, dtype=object), np.full(len(rows), np.nan)
    gold[chosen], weight[chosen] = truth[rows][chosen], weights
    order = np.argsort(parts.classes)
    known: dict[str, Any] = {"gold": gold, "gold_weight": weight}
    refused = {}
    for name, labels, method in (
        ("raw", llm, None),
        ("true", truth, None),
        ("paper", llm, "paper"),
        ("silr", llm, "silr"),
        ("judge", truth, None),
    ):
        here = parts.judge_rows if name == "judge" else rows
        options: dict[str, Any] = {"method": method}
        if method is None:  # labels taken as true: the risk is the ordinary supervised one
            options = {"method": "uu", "theta": np.eye(2), "iterations": 1}
        refiner = LabelRefiner.from_options(features=features, run=work / name, random_state=seed, **options)
        given = known if method else {}
        if method == "silr":
            given = {**known, "llm_scores": scores[rows][:, order]}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                refiner.fit(list(texts[here]), labels[here], **given)
        except NoSignalError as error:
            refused[name] = str(error)
    return refused


def accuracy(parts: Parts, work: Path) -> dict[str, float]:
    """Accuracy of each reward and of the judge on texts that none of them has seen."""
    texts = np.array(text_column(parts.frame), dtype=object)[parts.other_rows]
    truth = np.array(label_column(parts.frame, "truth"))[parts.other_rows]
    found = {}
    for name in (*REWARDS, "judge"):
        if (work / name / "iteration-1").is_dir():
            found[name] = float((LabelRefiner.load(work / name).predict(list(texts)) == truth).mean())
    return found
