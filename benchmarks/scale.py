"""Time and memory on large feature tables, beside rivals in the same run; each fit in a process of its own.

    python benchmarks/scale.py [--rows 200000 1000000] [--spectra flat falling]

Features are synthetic float32 (two Gaussian classes), memory-mapped from disk: independent columns of equal variance
("flat"), or correlated ones whose covariance has eigenvalues that fall as 1, 1/2, 1/3, ..., as those of embeddings do
("falling"). The labels are biased, 100 are gold. Rivals: one fit of scikit-learn's logistic regression to the LLM's
labels, and cleanlab around it. Prints seconds and their ratio to the single fit, and peak resident memory over the size
of the features; writes results/scale.json. The processor's seconds are those of all threads.
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
import warnings
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results" / "scale.json"


def make_table(folder: Path, rows: int, width: int, spectrum: str) -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(2, size=rows)
    direction = rng.normal(size=width).astype(np.float32) * 0.1
    mixing = np.eye(width, dtype=np.float32)
    if spectrum == "falling":
        rotation = np.linalg.qr(rng.normal(size=(width, width)))[0]
        mixing = (rotation / np.sqrt(np.arange(1, width + 1))[:, None] @ rotation.T * 4).astype(np.float32)
    features = np.lib.format.open_memmap(folder / "features.npy", "w+", np.float32, (rows, width))
    for start in range(0, rows, 50_000):
        part = slice(start, start + 50_000)
        noise = rng.standard_normal((len(truth[part]), width), dtype=np.float32)
        features[part] = (noise + np.outer(truth[part] - 0.5, direction)) @ mixing
    features.flush()
    labels = rng.random(rows) < np.where(truth == 1, 0.95, 0.7)
    np.save(folder / "labels.npy", labels.astype(np.uint8))
    np.save(folder / "truth.npy", truth.astype(np.uint8))


def fit_silr(X: Any, labels: Any, truth: Any) -> Any:
    from silr import LabelRefiner
    from silr.label.draw import draw_texts

    rows, weights = draw_texts(labels, 100)
    gold, weight = np.full(len(labels), np.nan, dtype=np.float32), np.zeros(len(labels), dtype=np.float32)
    gold[rows], weight[rows] = truth[rows], weights
    return lambda: LabelRefiner().fit(X, labels, gold, gold_weight=weight).labels_


def fit_logistic(X: Any, labels: Any, truth: Any) -> Any:
    from sklearn.linear_model import LogisticRegression

    return lambda: LogisticRegression(C=0.01, max_iter=100).fit(X, labels).predict(X)


def fit_cleanlab(X: Any, labels: Any, truth: Any) -> Any:
    from cleanlab.classification import CleanLearning
    from sklearn.linear_model import LogisticRegression

    return lambda: CleanLearning(LogisticRegression(C=0.01, max_iter=100)).fit(X, labels).predict(X)


FITS = {"logistic": fit_logistic, "cleanlab": fit_cleanlab, "silr": fit_silr}


def measure(folder: Path, name: str) -> None:
    X = np.load(folder / "features.npy", mmap_mode="r")
    labels, truth = np.load(folder / "labels.npy"), np.load(folder / "truth.npy")
    fit = FITS[name](X, labels, truth)
    np.asarray(X[:, 0]).sum()  # the file is in the page cache for all
    began, worked = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = fit()
    seconds, worked = time.perf_counter() - began, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    values = {
        "seconds": round(seconds, 2),
        "processor_seconds": round(worked, 2),
        "peak_over_features": round(peak / X.nbytes, 3),
        "accuracy": float((found == truth).mean()),
    }
    print(json.dumps(values))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[200_000, 1_000_000])
    parser.add_argument("--spectra", nargs="+", default=["flat", "falling"])
    parser.add_argument("--fits", nargs="+", choices=FITS, default=list(FITS))
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(Path(arguments.measure[0]), arguments.measure[1])
        return
    results = []
    for rows, spectrum in product(arguments.rows, arguments.spectra):
        with tempfile.TemporaryDirectory() as folder:
            make_table(Path(folder), rows, arguments.width, spectrum)
            single = None
            for name in arguments.fits:
                command = [sys.executable, __file__, "--measure", folder, name]
                values = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
                single = single or values["seconds"]
                results.append({"rows": rows, "spectrum": spectrum, "fit": name, **values})
                print(
                    f"{rows:>9,} x {arguments.width} {spectrum:8} {name:9} {values['seconds']:6.1f} s "
                    f"({values['seconds'] / single:4.1f} times), peak {values['peak_over_features']:.2f} x features, "
                    f"accuracy {values['accuracy']:.3f}",
                    flush=True,
                )
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(
        json.dumps({"cores": os.cpu_count(), "width": arguments.width, "runs": results}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
