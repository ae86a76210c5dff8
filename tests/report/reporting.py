"""Runs made in a moment, without any training, and a reader for the page that is written about them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from silr.classifiers.base import FitHistory
from silr.io.corpus import file_hash, write_table
from silr.label.draw import draw_texts
from silr.refine.comparison import compare
from silr.refine.iteration import Iteration, Notes
from silr.refine.refinement import Refinement
from silr.refine.run import Run
from silr.refine.verdict import result_of
from silr.stats.gold_labels import GoldLabels
from silr.stats.priors import Priors, given_priors, priors_from_gold

CLASSES = ("negative", "positive")
CONFIGURATION = {
    "class_prior": None,
    "classifier": "frozen",
    "correction": "none",
    "epochs": None,
    "hidden_units": 0,
    "leak": -0.001,
    "learning_rate": 0.001,
    "loss": "sigmoid",
    "method": "silr",
    "priors": "gold",
    "theta": None,
    "seed": 3,
}
COLUMNS = {"text": "text", "labels": ["llm_label"], "gold": "gold", "weight": "gold_weight", "truth": None}


def make_run(
    folder: Path,
    n: int = 400,
    classes: Sequence[str] = CLASSES,
    *,
    texts: Sequence[str] = (),
    n_gold: int = 100,
    errors: Sequence[float] = (0.7, 0.25, 0.15, 0.1),
    asked: int | None = None,
    missing: int = 0,
    stopped: str | None = None,
    theta: Any = None,
    truth: str | None = None,
    finished: bool = True,
    relabel: Callable[[int, Any], Any] = lambda number, labels: labels,
    posterior: bool = False,
    seed: int = 0,
) -> Path:
    """Write ``folder/table.csv`` and a run of it, ``folder/run``.

    The LLM gives the last class to a share `errors[0]` of the texts, whatever they say; the labels of iteration t are
    wrong in a share `errors[t]`. With `posterior` the run looks like one of the default method: give two errors.
    Without `finished` it looks like one that was killed before its end.
    """
    rng = np.random.default_rng(seed)
    K = len(classes)
    answer = rng.integers(K, size=n)
    drawn = rng.random(n)
    named = np.array([*classes, None], dtype=object)
    iterations: list[Iteration] = []
    llm = np.where(drawn < errors[0], K - 1, answer)
    rows, weights = draw_texts(llm, n_gold, seed) if n_gold else (np.array([], dtype=int), np.array([]))
    llm[np.flatnonzero(~np.isin(np.arange(n), rows))[:missing]] = -1
    gold, weight = np.full(n, -1), np.full(n, np.nan)
    gold[rows], weight[rows] = answer[rows], weights

    def estimate(labels: Any, _: int) -> Priors:
        labelled = labels >= 0
        return priors_from_gold(labels[labelled], gold[labelled], K, weight[labelled])

    for number, error in enumerate(errors):
        labels = llm if number == 0 else np.where(drawn < error, (answer + 1) % K, answer)
        labels = relabel(number, labels)
        notes = Notes("llm" if not number else "posterior" if posterior else "iteration", asked or len(errors) - 1)
        if number:
            notes = replace(notes, changed=int((labels != iterations[-1].labels).sum()))
            if not posterior:
                notes = replace(notes, fit=FitHistory([0.2, 0.1], [0.3, 0.2], 1))
            if stopped and number == len(errors) - 1:
                notes = replace(notes, stopped=stopped)
        labelled = labels >= 0
        priors: Priors | None = None
        if n_gold:
            priors = estimate(labels, number)
        elif number == 0:
            priors = given_priors(theta, None, labels[labelled])
        if number and n_gold:
            by_hand = GoldLabels.of(gold, weight, K)
            notes = replace(
                notes, against_llm=compare(estimate, llm.astype(np.int16), by_hand, labels.astype(np.int16))
            )
            if not posterior:
                notes = replace(notes, labels_of=result_of(number, priors, notes.against_llm))
        scores = None if number == 0 else _scores(labels, K, rng)
        iterations.append(Iteration(number, labels.astype(np.int16), scores, priors, notes))
    frame = pd.DataFrame(
        {
            "text": pd.Series([*texts, *(f"text number {row}" for row in range(len(texts), n))], dtype=object),
            "llm_label": named[llm],
            "gold": named[gold],
            "gold_weight": pd.Series([None if np.isnan(each) else each for each in weight], dtype=object),
            "answer": named[answer],
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_table(frame, folder / "table.csv")
    configuration = {**CONFIGURATION, "theta": theta}
    identity = {"configuration": configuration, "classes": list(classes), "input": "0" * 64}
    identity["features"] = {"kind": "tfidf"}
    with Run.start(folder / "run", identity, {"gold": n_gold, "texts": n}) as run:
        for each in iterations:
            run.save_iteration(each, None)
    record = {"table": "../table.csv", "sha256": file_hash(folder / "table.csv"), "features": "tfidf"}
    record |= {"columns": {**COLUMNS, "truth": truth}, "iterations": asked or len(errors) - 1}
    (folder / "run" / "table.json").write_text(json.dumps(record))
    if finished:
        best = Refinement(iterations, list(classes)).best
        frame["refined_label"] = named[best.labels]
        frame["refined_score"] = 1.0 if best.scores is None else best.scores.max(axis=1)
        write_table(frame, folder / "run" / "labels.csv")
    return folder / "run"


def _scores(labels: Any, K: int, rng: np.random.Generator) -> Any:
    """Scores of which the label's is the largest."""
    scores = rng.dirichlet(np.ones(K), size=len(labels))
    rows = np.arange(len(labels))
    top = scores.argmax(axis=1)
    scores[rows, top], scores[rows, labels] = scores[rows, labels].copy(), scores[rows, top].copy()
    return scores.astype(np.float32)


class Page(HTMLParser):
    """What a report says: texts by id, tables by the beginning of their caption or by their id, and cautions."""

    VOID = ("meta", "link", "input", "br")

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text()
        self.open: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.by_id: dict[str, str] = {}
        self.tables: dict[str, list[list[str]]] = {}
        self.cautions: dict[str, str] = {}
        self._rows: list[list[str]] = []
        self._caption = ""
        self.feed(self.source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        if tag == "tr":
            self._rows.append([])
        if tag not in self.VOID:
            self.open.append((tag, given, []))

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        for _, _, parts in self.open:
            parts.append(data)

    def handle_endtag(self, tag: str) -> None:
        name, given, parts = self.open.pop()
        assert name == tag, (name, tag)
        text = "".join(parts)
        if given.get("id"):
            self.by_id[str(given["id"])] = text
        line = " ".join(text.split())
        if tag == "caption":
            self._caption = line
        elif tag in ("td", "th"):
            self._rows[-1].append(text.strip() if given.get("class") == "text" else line)
        elif tag == "table":
            self.tables[str(given.get("id") or self._caption)] = [row for row in self._rows if row]
            self._rows = []
        elif tag == "li" and given.get("class") in ("serious", "careful", "note"):
            title, _, words = line.partition(". ")
            self.cautions[title] = words

    def table(self, beginning: str) -> list[list[str]]:
        """Rows of cells, the header first."""
        (found,) = [rows for name, rows in self.tables.items() if name.startswith(beginning)]
        return found
