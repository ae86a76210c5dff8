"""Time and memory of five iterations on large feature tables, each size in a process of its own.

    python benchmarks/scale.py [--rows 250000 500000 1000000]

Features are synthetic float32 (two Gaussian classes), memory-mapped from disk; the labels are biased, 100 are gold.
Labels and truth take a byte a text. Prints seconds, seconds a million rows, and peak resident memory over the size of
the features; writes results/scale.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).parent / "results" / "scale.json"


def make_table(folder: Path, rows: int, width: int) -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(2, size=rows)
    direction = rng.normal(size=width).astype(np.float32) * 0.1
    features = np.lib.format.open_memmap(folder / "features.npy", "w+", np.float32, (rows, width))
    for start in range(0, rows, 50_000):
        part = slice(start, start + 50_000)
        noise = rng.standard_normal((len(truth[part]), width), dtype=np.float32)
        features[part] = noise + np.outer(truth[part] - 0.5, direction)
    features.flush()
    labels = rng.random(rows) < np.where(truth == 1, 0.95, 0.7)
    np.save(folder / "labels.npy", labels.astype(np.uint8))
    np.save(folder / "truth.npy", truth.astype(np.uint8))


def fit(folder: Path) -> None:
    from silr import LabelRefiner
    from silr.label.draw import draw_texts

    X = np.load(folder / "features.npy", mmap_mode="r")
    labels, truth = np.load(folder / "labels.npy"), np.load(folder / "truth.npy")
    rows, weights = draw_texts(labels, 100)
    gold, weight = np.full(len(labels), np.nan, dtype=np.float32), np.zeros(len(labels), dtype=np.float32)
    gold[rows], weight[rows] = truth[rows], weights
    began = time.perf_counter()
    refiner = LabelRefiner().fit(X, labels, gold, gold_weight=weight)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    values = {
        "rows": len(X),
        "seconds": round(seconds, 2),
        "peak_over_features": round(peak / X.nbytes, 3),
        "features_gb": round(X.nbytes / 1e9, 3),
        "accuracy_before": float((labels == truth).mean()),
        "accuracy_after": float((refiner.labels_ == truth).mean()),
    }
    print(json.dumps(values))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[250_000, 500_000, 1_000_000])
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--fit", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.fit:
        fit(arguments.fit)
        return
    results = []
    for rows in arguments.rows:
        with tempfile.TemporaryDirectory() as folder:
            make_table(Path(folder), rows, arguments.width)
            done = subprocess.run(
                [sys.executable, __file__, "--fit", folder], check=True, capture_output=True, text=True
            )
        values = json.loads(done.stdout)
        results.append(values)
        pace = values["seconds"] / rows * 1e6
        print(
            f"{rows:>9,} x {arguments.width}: {values['seconds']:6.1f} s ({pace:.1f} s a million), peak memory "
            f"{values['peak_over_features']:.2f} x features, accuracy {values['accuracy_before']:.3f} -> "
            f"{values['accuracy_after']:.3f}",
            flush=True,
        )
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(
        json.dumps({"cores": os.cpu_count(), "width": arguments.width, "runs": results}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
