"""Distilled classifiers: what they lose, and whether the estimate of their accuracy is right.

    python benchmarks/distilled.py FOLDER [--tables nyt amazon corona offensive] [--rows 1500] [--draws 5]

FOLDER holds ``NAME.csv.gz`` with the columns text, truth, llm_label and llm_score_CLASS, and ``NAME.features.npy`` with
hidden states of the annotator. A run on states and TF-IDF gets 100 gold labels a draw, as `silr label` draws them. Its
refined labels teach a student on TF-IDF alone, and one on all-MiniLM-L6-v2 and TF-IDF. The true accuracy is that on the
texts without gold label, of students of other texts. "plain" is the estimate by students that were taught refined
labels in which the gold labels of their fold had a part. Prints a line a draw and a table; writes
results/distilled.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd

from silr.export import distill
from silr.features import encoders
from silr.features.sentence import SentenceFeatures
from silr.label.draw import draw_texts
from silr.refine.label_refiner import LabelRefiner
from silr.refine.table import refine_table

RESULTS = Path(__file__).parent / "results" / "distilled.json"
GOLD = 100


class Kept(SentenceFeatures):
    """Embeddings of the table at hand, computed once for all draws."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self._kept: dict[tuple[str, ...], Any] = {}

    def fit_transform(self, texts: Any) -> Any:
        if (key := tuple(texts)) not in self._kept:
            self._kept = {key: super().fit_transform(texts)}
        return self._kept[key]


def judge(run: Path, frame: pd.DataFrame, encoder: Kept | None) -> dict[str, Any]:
    """Estimates and true accuracies of one run's student."""
    refiner, record = LabelRefiner.load(run), distill.corpus_of(run)
    truth = np.searchsorted(refiner.classes_, frame["truth"].astype(str))
    others = frame["gold"].isna().to_numpy()
    seen: list[Any] = []
    out_of_fold = distill._out_of_fold

    def keep(*arguments: Any) -> Any:
        seen.append(out_of_fold(*arguments))
        return seen[-1]

    at_hand = patch.object(distill, "_encoder", lambda: encoder and "kept")
    with at_hand, patch.object(distill, "make_features", lambda name: encoder):
        with patch.object(distill, "_out_of_fold", keep):
            fitted = distill.teach(refiner, record)
        with patch.object(distill, "left_out_folds", lambda *arguments: []):
            plain = distill.teach(refiner, record)
    true = float((seen[0] == truth)[others].mean())
    low, high = fitted.accuracy.interval
    of_run = refiner.result_.iterations[-1].classifier_labels
    return {
        "run": float((of_run == truth)[others].mean()),
        "llm": float((frame["llm_label"] == frame["truth"])[others].mean()),
        "true": true,
        "estimate": fitted.accuracy.accuracy,
        "inside": bool(low <= true <= high),
        "plain": plain.accuracy.accuracy,
        "lines": fitted.lines,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tables", nargs="+", default=["nyt", "amazon", "corona", "offensive"])
    parser.add_argument("--rows", type=int, default=1500)
    parser.add_argument("--draws", type=int, default=5)
    options = parser.parse_args()
    model = encoders.at_hand()
    kinds = {"TF-IDF": None, **({} if model is None else {"MiniLM and TF-IDF": Kept(model)})}
    rows = []
    for name in options.tables:
        every = pd.read_csv(options.folder / f"{name}.csv.gz", keep_default_na=False, dtype={"text": str})
        some = np.sort(np.random.default_rng(0).permutation(len(every))[: options.rows])
        states = np.load(options.folder / f"{name}.features.npy")[some]
        for draw in range(options.draws):
            frame = every.iloc[some].reset_index(drop=True)
            codes = np.unique(frame["llm_label"], return_inverse=True)[1]
            drawn, weights = draw_texts(codes, GOLD, draw)
            frame["gold"], frame["gold_weight"] = None, np.nan
            frame.loc[drawn, "gold"], frame.loc[drawn, "gold_weight"] = frame["truth"][drawn], weights
            with tempfile.TemporaryDirectory() as work:
                folder = Path(work)
                frame.drop(columns="truth").to_csv(folder / "table.csv", index=False)
                np.save(folder / "states.npy", states)
                specs = [str(folder / "states.npy"), "tfidf"]
                refine_table(folder / "table.csv", folder / "run", features=specs, classes=sorted(set(frame["truth"])))
                for kind, encoder in kinds.items():
                    row = {"table": name, "student": kind, "draw": draw, **judge(folder / "run", frame, encoder)}
                    rows.append(row)
                    print(json.dumps(row), flush=True)
    table = pd.DataFrame(rows).drop(columns=["draw", "lines"]).groupby(["table", "student"], sort=False).mean()
    print(table.round(3).to_string())
    means = table.groupby("student", sort=False).mean()
    print(means.round(3).to_string())
    settings = {name: getattr(options, name) for name in ("rows", "draws")}
    RESULTS.write_text(json.dumps({"settings": settings, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
