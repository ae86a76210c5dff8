"""What the rest of a long text adds, of which a sentence encoder reads no more than its beginning.

    python benchmarks/long_texts.py FOLDER [--draws 5]

A long text is cut into pieces of as many tokens as the encoder (MiniLM, 256 tokens) reads. Its embedding is the mean
of the pieces' embeddings, weighted by their tokens, of unit length; "beginning" is what sentence-transformers gives.
FOLDER is as cases.py says; tables where at least 5 % of the texts are long take part, with each LLM. Accuracy on the
texts without gold label, 100 gold labels, TF-IDF beside the embeddings. Results go into
benchmarks/results/long_texts.json, and a table into docs/design/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from cases import Case, find_cases
from compare_report import put_into_document
from feature_cache import default_folder, kept, minilm_folder, tfidf_features
from gold_rivals import gold_only, stack
from silr.features.joined import slices
from silr.features.sentence import SentenceFeatures
from silr.io.corpus import read_table, table_stem, text_column
from silr.io.files import write_json
from silr.refine.posterior import refine_posterior
from silr.stats.annotator_evidence import Annotator
from silr.stats.gold_labels import GoldLabels
from silr.stats.ridge import StandardisedMatrix
from tables import Gold, Split, draw_gold, split

RESULTS = Path(__file__).parent / "results" / "long_texts.json"
MARK = "long_texts.py"
N_GOLD, SHARE = 100, 0.05  # of long texts, from which a table takes part
BEGINNING, WHOLE = "beginning", "whole text"
VARIANTS: dict[str, int | None] = {BEGINNING: 1, "4 pieces at most": 4, "8 pieces at most": 8, WHOLE: None}
RIVALS = {"gold only": gold_only("both"), "stack": stack}
METHODS = ["silr", *RIVALS]


def pieces(texts: Sequence[str], tokenizer: Any, most: int) -> tuple[list[str], Any, Any]:
    """Pieces of texts of at most so many tokens each, the rows that they are of, and their numbers of tokens.

    A piece ends where a word ends. A text that is not too long is one piece, unchanged.
    """
    parts: list[str] = []
    rows: list[int] = []
    counts: list[int] = []
    for row, text in enumerate(texts):
        encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        spans, words = encoded["offset_mapping"], encoded.word_ids()
        start, first = 0, len(parts)
        while start < len(spans) or len(parts) == first:
            end = min(start + most, len(spans))
            if end < len(spans):
                cut = next((at for at in range(end, start, -1) if words[at] != words[at - 1]), end)
                end = cut
            whole = start == 0 and end == len(spans)
            parts.append(text if whole else text[spans[start][0] : spans[end - 1][1]])
            rows.append(row)
            counts.append(end - start)
            start = end
    return parts, np.array(rows), np.array(counts)


def embed(texts: Sequence[str]) -> dict[str, Any]:
    """Embeddings of variants, (n, 384) each, lengths in tokens, and seconds for the beginnings and for the rest."""
    encoder = SentenceFeatures(str(minilm_folder())).encoder
    most = encoder.max_seq_length - encoder.tokenizer.num_special_tokens_to_add()
    clock = time.process_time()
    beginning = encoder.encode(list(texts), show_progress_bar=False)
    seconds = [time.process_time() - clock]
    clock = time.process_time()
    parts, rows, counts = pieces(texts, encoder.tokenizer, most)
    numbers = np.arange(len(rows)) - np.searchsorted(rows, rows)  # of a text's pieces
    long = np.isin(rows, rows[numbers > 0])
    own = np.zeros((len(parts), beginning.shape[1]), np.float32)
    own[~long] = beginning[rows[~long]]
    seconds += [time.process_time() - clock]
    arrays: dict[str, Any] = {
        BEGINNING: beginning,
        "tokens": np.bincount(rows, counts),
        "texts": np.array([len(texts)]),
    }
    for low, high in ((0, 4), (4, 8), (8, len(parts))):
        clock = time.process_time()
        chosen = np.flatnonzero(long & (numbers >= low) & (numbers < high))
        if len(chosen):
            own[chosen] = encoder.encode([parts[at] for at in chosen], show_progress_bar=False)
        seconds.append(time.process_time() - clock)
    for name, limit in VARIANTS.items():
        if name != BEGINNING:
            read = numbers < (len(parts) if limit is None else limit)
            sums = np.zeros_like(beginning)
            np.add.at(sums, rows[read], own[read] * counts[read, None])
            norms = np.linalg.norm(sums, axis=1, keepdims=True)
            means = sums / np.where(norms > 0, norms, 1)
            short = np.bincount(rows, minlength=len(texts)) == 1
            arrays[name] = np.where(short[:, None], beginning, means).astype(np.float32)
    return {**arrays, "seconds": np.array(seconds)}


def accuracies(part: Split, draws: int, method: str) -> list[float]:
    """Accuracy on the corpus, one number a draw of gold labels."""
    words, _, widths = tfidf_features(part.texts[0], part.texts[1], part.cache)
    dense = part.features[0]
    columns = slices([dense.shape[1], *widths])
    X = StandardisedMatrix(np.hstack([dense, words]).astype(np.float32))
    annotators = [Annotator(part.llm[0].astype(np.int16), None)]
    found = []
    for draw in range(draws):
        drawn = replace(part, seed=draw)
        codes, weights = draw_gold(drawn, N_GOLD)
        if method == "silr":
            gold = GoldLabels.of(codes, weights, len(part.classes))
            labels = refine_posterior(X, [columns[:1], columns[1:]], annotators, gold, 0).probabilities.argmax(axis=1)
        else:
            labels = RIVALS[method](drawn, Gold(codes, weights))[-1].labels[0]
        found.append(float((labels == part.truth[0])[codes < 0].mean()))
    return found


def of_case(case: Case, embedded: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Accuracies of a case by method and variant, and what the texts are like."""
    part = split(case, 0, None, options.cache)
    back = {text: row for row, text in enumerate(embedded["names"])}
    found: dict[str, Any] = {}
    for name in VARIANTS:
        dense = tuple(embedded[name][[back[text] for text in texts]] for texts in part.texts if texts)
        pair = (dense[0], dense[1] if len(dense) > 1 else dense[0][:0])
        own = replace(part, features=pair, embedded=pair)
        for method in METHODS if name in (BEGINNING, WHOLE) else METHODS[:1]:
            found.setdefault(method, {})[name] = accuracies(own, options.draws, method)
    long = embedded["tokens"] > options.most
    return {"table": table_stem(case.table), "long": float(long.mean()), "accuracy": found}


def markdown(results: dict[str, Any]) -> list[str]:
    lines = [f"| embedding of a long text | {' | '.join(METHODS)} | cases where silr gains more than 0.1, loses more |"]
    lines.append("| --- | " + " | ".join("---" for _ in METHODS) + " | --- |")
    cells = {
        (method, name): np.array([np.array(case["accuracy"][method][name]) for case in results["cases"].values()])
        for method in METHODS
        for name in VARIANTS
        if method == METHODS[0] or name in (BEGINNING, WHOLE)
    }
    tables = [case["table"] for case in results["cases"].values()]
    for name in VARIANTS:
        row = []
        for method in METHODS:
            if (method, name) not in cells:
                row.append("")
                continue
            if name == BEGINNING:
                row.append(f"{cells[method, name].mean():.4f}")
                continue
            gains = 100 * (cells[method, name] - cells[method, BEGINNING]).mean(axis=1)
            row.append("{:+.2f} ± {:.2f}".format(*gain_over_tables(gains, tables)))
        gains = 100 * (cells["silr", name] - cells["silr", BEGINNING]).mean(axis=1)
        counts = "" if name == BEGINNING else f"{(gains > 0.1).sum()}, {(gains < -0.1).sum()} of {len(gains)}"
        lines.append(f"| {name} | {' | '.join(row)} | {counts} |")
    lines += [
        "",
        "| table | long texts | tokens read of the beginning | seconds, times those of the beginning | silr, ",
    ]
    lines[-1] += "beginning | whole text: points |"
    lines.append("| --- | --- | --- | --- | --- | --- |")
    for table, about in results["tables"].items():
        own = [at for at, name in enumerate(tables) if name == table]
        base, whole = (cells["silr", name][own] for name in (BEGINNING, WHOLE))
        gains = 100 * (whole - base).mean(axis=0)
        error = gains.std(ddof=1) / np.sqrt(len(gains))
        lines.append(
            f"| {table} | {about['long']:.0%} | {about['read']:.0%} | {about['ratio']:.1f} | {base.mean():.4f} | "
            f"{gains.mean():+.2f} ± {error:.2f} |"
        )
    return lines


def gain_over_tables(gains: Any, tables: Sequence[str]) -> tuple[float, float]:
    """Mean over tables, each the mean of its LLMs, and its standard error."""
    means = np.array([gains[[name == table for name in tables]].mean() for table in dict.fromkeys(tables)])
    return float(means.mean()), float(means.std(ddof=1) / np.sqrt(len(means))) if len(means) > 1 else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--tables", nargs="*")
    parser.add_argument("--cache", type=Path, default=default_folder())
    options = parser.parse_args()
    encoder = SentenceFeatures(str(minilm_folder())).encoder
    options.most = encoder.max_seq_length - encoder.tokenizer.num_special_tokens_to_add()
    results: dict[str, Any] = {"tables": {}, "cases": {}}
    if RESULTS.exists():
        results = json.loads(RESULTS.read_text())
    with threadpool_limits(1):
        for case in find_cases(options.folder, ["strong", "labels-only"], options.tables):
            table = table_stem(case.table)
            if case.features != "minilm" or case.name in results["cases"] or is_short(case, encoder, options):
                continue
            print(table, flush=True)
            texts = sorted({text for part in split(case, 0, None, options.cache).texts for text in part})
            embedded = kept(options.cache, "long-texts", [texts], lambda texts=texts: embed(texts))
            about = of_case(case, {**embedded, "names": texts}, options)
            seconds, tokens = embedded["seconds"], embedded["tokens"]
            results["cases"][case.name] = about
            results["tables"][table] = {
                "long": about["long"],
                "read": float(np.minimum(tokens, options.most).sum() / tokens.sum()),
                "seconds": [round(float(value), 2) for value in seconds],
                "ratio": float(ratio(embedded, options.most)),
            }
            write_json(RESULTS, results)
            means = {name: round(float(np.mean(values)), 4) for name, values in about["accuracy"]["silr"].items()}
            print(case.name, means, flush=True)
    put_into_document(MARK, markdown(results))


def ratio(embedded: dict[str, Any], most: int) -> float:
    """Seconds for the whole texts over those for their beginnings.

    The first pieces of long texts are read twice above; they cost what their share of the beginnings' tokens costs.
    """
    tokens, seconds = embedded["tokens"], embedded["seconds"]
    share = np.minimum(tokens, most)[tokens <= most].sum() / np.minimum(tokens, most).sum()
    return float((seconds[0] * share + seconds[1:].sum()) / seconds[0])


def is_short(case: Case, encoder: Any, options: argparse.Namespace) -> bool:
    """Whether a table has too few long texts; by characters first, which is quick."""
    texts = text_column(read_table(case.table))
    longer = [text for text in texts if len(text) > options.most]
    lengths = [len(encoder.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]) for text in longer]
    return bool(sum(length > options.most for length in lengths) < SHARE * len(texts))


if __name__ == "__main__":
    main()
