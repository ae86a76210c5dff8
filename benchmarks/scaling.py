"""Predicting a table in pieces: one process beside two workers of a Ray cluster, on one machine, in one run.

    python benchmarks/scaling.py --texts 200000 --pieces 16 -o benchmarks/results/scaling.json

Both read the same pieces with a run on TF-IDF, and write the same labels, which is checked. Starting takes its own
time, which is measured with a piece of ten texts and taken off. On a machine with other work the ratio of processor
time is the one to read: that of the one process to that of the busier worker.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import psutil

LOOPBACK = "127.0.0.2"  # Ray takes 127.0.0.1 for the address that other machines see
WORDS = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=200_000)
    parser.add_argument("--pieces", type=int, default=16)
    parser.add_argument("--words", type=int, default=40, help="of a text")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    with TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, options.texts, options.pieces, options.words)
        result: dict[str, object] = {"cores": os.cpu_count(), "texts": options.texts, "pieces": options.pieces}
        result["words"] = options.words
        result["load_before"] = os.getloadavg()[0]
        alone, shared, cpu_alone, cpu_shared = {}, {}, {}, {}
        for kind in ("few", "texts"):
            before = processor_seconds()
            alone[kind] = seconds(folder, kind, f"alone-{kind}")
            cpu_alone[kind] = processor_seconds() - before
        with cluster():
            for kind in ("few", "texts"):
                with workers() as used:
                    shared[kind] = seconds(folder, kind, f"ray-{kind}", "--engine", "ray")
                cpu_shared[kind] = sorted(used.values())
        result["load_after"] = os.getloadavg()[0]
        work = [each["texts"] - each["few"] for each in (alone, shared)]
        result |= {"one_process": alone, "two_workers": shared, "ratio": work[0] / work[1]}
        result |= {"processor_one": cpu_alone, "processor_workers": cpu_shared}
        own = cpu_alone["texts"] - cpu_alone["few"]
        result["processor_ratio"] = own / (max(cpu_shared["texts"]) - max(cpu_shared["few"]))
        result["texts_per_processor_second"] = options.texts / own
        result["same"] = labels(folder / "alone-texts") == labels(folder / "ray-texts")
    text = json.dumps(result, indent=2)
    print(text)
    if options.output:
        options.output.write_text(text + "\n")


def make(folder: Path, n: int, pieces: int, words: int) -> None:
    """A run on 2,000 texts, and `n` new ones in pieces."""
    from silr.refine.table import refine_table

    rng = np.random.default_rng(0)
    vocabulary = np.array([f"word{number}" for number in range(WORDS)])

    def table(rows: int) -> pd.DataFrame:
        truth = rng.integers(2, size=rows)
        places = (WORDS * rng.random((rows, words)) ** 2).astype(int)  # some words are frequent
        places[:, :4] = 50 * truth[:, None] + rng.integers(50, size=(rows, 4))
        llm = np.where(rng.random(rows) < 0.3, 1, truth)
        texts = [" ".join(row) for row in vocabulary[places]]
        return pd.DataFrame({"text": texts, "llm_label": np.array(["no", "yes"])[llm], "truth": truth})

    first = table(2000)
    first["gold"] = np.where(np.arange(2000) < 80, np.array(["no", "yes"])[first.pop("truth")], None)
    first.to_parquet(folder / "first.parquet")
    refine_table(folder / "first.parquet", folder / "run", features="tfidf")
    for name, count, rows in (("texts", pieces, n // pieces), ("few", 1, 10)):
        (folder / name).mkdir()
        for number in range(count):
            table(rows).to_parquet(folder / name / f"part-{number:03}.parquet")


def seconds(folder: Path, source: str, output: str, *more: str) -> float:
    command = [sys.executable, "-m", "silr", "predict", "run", source, "-o", output, "--quiet", *more]
    began = time.monotonic()
    subprocess.run(command, cwd=folder, check=True)
    return time.monotonic() - began


def processor_seconds() -> float:
    """What finished commands have taken of the processor."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def workers() -> Iterator[dict[int, float]]:
    """Processor seconds of Ray's workers that make pieces, by process, as they were last seen."""
    used: dict[int, float] = {}
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.2):
            for process in psutil.process_iter():
                with suppress(psutil.Error):
                    if "PieceMaker" in process.name() + "".join(process.cmdline()):
                        times = process.cpu_times()
                        used[process.pid] = times.user + times.system

    watching = threading.Thread(target=look, daemon=True)
    watching.start()
    yield used
    done.set()
    watching.join()


class cluster:  # noqa: N801
    """A head node and a second one, with a core each."""

    def __enter__(self) -> None:
        from ray.cluster_utils import Cluster

        node = {"num_cpus": 1, "node_ip_address": LOOPBACK}
        self._nodes = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
        self._nodes.add_node(**node)
        os.environ["RAY_ADDRESS"] = self._nodes.address

    def __exit__(self, *_: object) -> None:
        self._nodes.shutdown()


def labels(folder: Path) -> list[str]:
    return [label for path in sorted(folder.glob("*.parquet")) for label in pd.read_parquet(path)["refined_label"]]


if __name__ == "__main__":
    main()
