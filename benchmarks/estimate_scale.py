"""Time and memory of `silr estimate --by` on a large run, in a process of its own.

    python benchmarks/estimate_scale.py [--rows 1000000] [--groups 20] [--classes 2]

The run is written without a refinement: a table of synthetic texts of twelve words, the labels of an LLM, 300 gold
labels drawn as `silr label` draws them, and probabilities of a posterior. Everything is read back as the command reads
it: `labels.csv`, the stored labels and probabilities. Prints processor seconds and peak resident memory; writes
results/estimate_scale.json.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

RESULTS = Path(__file__).parent / "results" / "estimate_scale.json"
GOLD = 300


def make_run(folder: Path, rows: int, groups: int, n_classes: int) -> Path:
    """A run of the default method, as `silr refine` leaves it."""
    from silr.io.corpus import file_hash, write_table
    from silr.label.draw import draw_texts
    from silr.refine.iteration import Iteration, Notes
    from silr.refine.run import Run
    from silr.stats.priors import priors_from_gold

    rng = np.random.default_rng(0)
    names = np.array([f"class {k}" for k in range(n_classes)] + [""], dtype=object)
    truth = rng.integers(n_classes, size=rows)
    llm = np.where(rng.random(rows) < 0.2, n_classes - 1, truth)
    scores = 0.1 + rng.random((rows, n_classes), dtype=np.float32)
    scores[np.arange(rows), truth] += 1
    scores /= scores.sum(axis=1, keepdims=True)
    refined = scores.argmax(axis=1)
    drawn, weights = draw_texts(llm, GOLD)
    gold, weight = np.full(rows, -1), np.full(rows, np.nan)
    gold[drawn], weight[drawn] = truth[drawn], weights
    words = np.array([f"word{number}" for number in range(500)])[rng.integers(500, size=(rows, 12))]
    frame = pd.DataFrame(
        {
            "id": np.arange(rows),
            "text": [" ".join(row) for row in words.tolist()],
            "llm_label": names[llm],
            "gold": names[gold],
            "gold_weight": weight,
            "group": np.array([f"group {number}" for number in range(groups)])[rng.integers(groups, size=rows)],
            "refined_label": names[refined],
            "refined_score": scores.max(axis=1).round(4).astype(float),
        }
    )
    write_table(frame, folder / "table.csv")
    configuration = {"method": "silr", "classifier": "frozen", "priors": "gold", "theta": None, "seed": 0}
    identity = {"configuration": configuration, "classes": names[:-1].tolist(), "input": "0" * 64}
    identity["features"] = {"kind": "tfidf"}
    with Run.start(folder / "run", identity, {"gold": GOLD, "texts": rows}) as run:
        for number, labels in enumerate((llm, refined)):
            priors = priors_from_gold(labels, gold, n_classes, weight)
            notes = Notes("posterior" if number else "llm", 1)
            run.save_iteration(
                Iteration(number, labels.astype(np.int16), scores if number else None, priors, notes), None
            )
    columns = {"text": "text", "labels": ["llm_label"], "gold": "gold", "weight": "gold_weight", "truth": None}
    record = {"table": "../table.csv", "sha256": file_hash(folder / "table.csv"), "features": "tfidf"}
    (folder / "run" / "table.json").write_text(json.dumps({**record, "columns": columns, "iterations": 1}))
    (folder / "table.csv").rename(folder / "run" / "labels.csv")
    return folder / "run"


def measure(run: str) -> None:
    from silr.estimates.estimate import estimate

    began = time.process_time()
    result = estimate(run, "group")
    values = {
        "seconds": round(time.process_time() - began, 2),
        "gigabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, 2),
        "rows": len(result.rows),
    }
    print(json.dumps(values))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--groups", type=int, default=20)
    parser.add_argument("--classes", type=int, nargs="+", default=[2, 10])
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure)
        return
    results = []
    for n_classes in arguments.classes:
        with tempfile.TemporaryDirectory() as folder:
            with ProcessPoolExecutor(1) as pool:  # a child's peak would begin at the memory of this process
                run = pool.submit(make_run, Path(folder), arguments.rows, arguments.groups, n_classes).result()
            command = [sys.executable, __file__, "--measure", str(run)]
            done = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        results.append({"texts": arguments.rows, "groups": arguments.groups, "classes": n_classes, **json.loads(done)})
        print(results[-1], flush=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
