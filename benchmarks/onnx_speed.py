"""An ONNX graph against scikit-learn: 2,000 short texts by `silr export --onnx` and by `silr.load`, on one core.

Both label the same texts from the same exported folder, turn by turn in one process that is held to one core: the ratio
of each turn is of two things measured one after the other, in processor time (wall time says less on a machine with
other work). The folder's own code runs the graph; labels of all rows must be equal.

    python benchmarks/onnx_speed.py FOLDER/tweets.csv.gz
"""

from __future__ import annotations

import argparse
import json
import os
import runpy
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import silr
from silr.export import export_run
from silr.features.encoders import at_hand
from silr.io.files import write_json
from silr.refine.table import Columns, refine_table
from static_minilm import distil

RESULT = Path(__file__).parent / "results" / "onnx_speed.json"
GOLD = 100
TOKENS = 8_000  # of the static model, made here


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="columns text, llm_label and truth")
    parser.add_argument("--static", help="model2vec folder (default: made of MiniLM)")
    parser.add_argument("--rows", type=int, default=2_000, help="texts that are labelled (default 2,000)")
    parser.add_argument("--turns", type=int, default=5, help="how often each of the two labels them (default 5)")
    parser.add_argument("--output", type=Path, default=RESULT, help=f"where the results go (default {RESULT.name})")
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        results = compare(options, Path(folder))
    write_json(options.output, results)
    print(json.dumps(results, indent=1))


def compare(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The record of all kinds of features."""
    static = options.static
    if static is None:
        encoder = at_hand()
        assert encoder is not None, "no MiniLM at hand: give --static"
        distil(Path(encoder), folder / "static", TOKENS)
        static = str(folder / "static")
    table, texts = with_gold(options.table, folder, options.rows)
    kinds = {"tfidf": ["tfidf"], "static": [f"static:{static}"], "static and tfidf": [f"static:{static}", "tfidf"]}
    packages = ("onnxruntime", "scikit-learn", "model2vec", "tokenizers")
    return {
        "table": options.table.name,
        "texts": len(texts),
        "characters_a_text": round(statistics.mean(map(len, texts)), 1),
        "versions": {name: version(name) for name in packages},
        "features": {name: of_kind(specs, table, texts, folder / name, options.turns) for name, specs in kinds.items()},
    }


def with_gold(path: Path, folder: Path, rows: int) -> tuple[Path, list[str]]:
    """The table with gold labels at random and without true ones, and the texts to label."""
    import pandas as pd

    frame = pd.read_csv(path, dtype=str).dropna(subset=["text"])
    drawn = np.random.default_rng(0).choice(len(frame), GOLD, replace=False)
    frame["gold"] = None
    frame.iloc[drawn, frame.columns.get_loc("gold")] = frame["truth"].iloc[drawn]
    table = folder / "table.csv"
    frame[["text", "llm_label", "gold"]].to_csv(table, index=False)
    return table, frame["text"].tolist()[:rows]


def of_kind(specs: list[str], table: Path, texts: list[str], folder: Path, turns: int) -> dict[str, Any]:
    """Seconds of one kind of features."""
    refine_table(table, folder / "run", features=specs, columns=Columns())
    export_run(folder / "run", folder / "model", onnx=True)
    code = folder / "model" / "onnx_predict.py"
    loaded_onnx, opening_onnx = timed(lambda: runpy.run_path(str(code))["predict"])
    loaded_silr, opening_silr = timed(lambda: silr.load(folder / "model"))
    by_onnx, by_silr = [], []
    for turn in range(turns + 1):
        (labels, _), seconds = timed(lambda: loaded_onnx(texts))
        wanted, seconds_silr = timed(lambda: loaded_silr.predict(texts))
        assert labels.tolist() == wanted.tolist(), "labels differ"
        if turn:  # the first one warms up
            by_onnx.append(round(seconds, 4))
            by_silr.append(round(seconds_silr, 4))
    return {
        "seconds": {"onnx": by_onnx, "silr.load": by_silr},
        "ratio": round(statistics.median(b / a for a, b in zip(by_onnx, by_silr, strict=True)), 2),
        "seconds_to_open": {"onnx": round(opening_onnx, 3), "silr.load": round(opening_silr, 3)},
        "megabytes": round((folder / "model" / "model.onnx").stat().st_size / 1e6, 1),
    }


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """A result, and the seconds of processor time that it took."""
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


if __name__ == "__main__":
    main()
