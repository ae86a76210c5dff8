"""What states of other layers, and means over a text's tokens, add to an annotator's hidden states.

    python benchmarks/state_layers.py FOLDER --model MODEL [--rows 1200] [--draws 3]

MODEL is SmolLM2-135M-Instruct, a folder or a .gguf file; FOLDER is as cases.py says. A sample of each table with scores
is read once, and its states are kept in the cache folder. Accuracy of the default on the texts without gold label, 100
gold labels, in points above the last layer's states at the answering position. `silr annotate` writes the last variant.
TF-IDF stands beside them all. Results go into benchmarks/results/state_layers.json, and a table into
docs/design/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from cases import find_cases
from compare_report import put_into_document
from feature_cache import default_folder, kept, tfidf_features
from silr.annotators.local import LocalAnnotator
from silr.features.joined import slices
from silr.io.corpus import table_stem
from silr.io.files import write_json
from silr.refine.posterior import refine_posterior
from silr.stats.annotator_evidence import Annotator
from silr.stats.gold_labels import GoldLabels
from silr.stats.ridge import StandardisedMatrix
from tables import Split, draw_gold, split

RESULTS = Path(__file__).parent / "results" / "state_layers.json"
MARK = "state_layers.py"
N_GOLD, LONGEST, TOKENS = 100, 900, 2048
LAST = "last layer"
QUESTIONS = {
    "offensive": "Is this text harmless or offensive?",
    "liar": "Is this political statement false or true?",
    "bace": "Is this molecule, given as SMILES, an active or an inactive inhibitor of the human protein BACE-1?",
}
SENTIMENT = "Is the sentiment of this text positive or negative?"
MEAN, QUARTERS = f"mean of {LAST}", "three quarters"
SHIPPED = "mean over the text, with the same amplitude"
# the kinds of features, with an amplitude each, and the states that each has side by side
VARIANTS: dict[str, tuple[tuple[str, ...], ...]] = {
    LAST: ((LAST,),),
    "three quarters of the layers, instead": ((QUARTERS,),),
    "three quarters of the layers, beside it": ((LAST,), (QUARTERS,)),
    "mean over the text, beside it": ((LAST,), (MEAN,)),
    "both, beside it": ((LAST,), (QUARTERS,), (MEAN,)),
    SHIPPED: ((LAST, MEAN),),
}


def states(annotator: LocalAnnotator, texts: Sequence[str]) -> dict[str, Any]:
    """States of the layers at the answering position, and means over the text's own tokens, float16 of (n, width)."""
    import torch

    network, start = annotator._network, len(annotator._prefix)
    prompts, _ = annotator._encode(texts)
    depth = int(network.config.num_hidden_layers)
    layers = {"three quarters": 3 * depth // 4, LAST: depth}
    found: dict[str, list[Any]] = {}
    order = np.argsort([len(ids) for ids in prompts])[::-1]
    rows: list[Any] = []
    while len(order):
        batch = order[: max(1, TOKENS // len(prompts[order[0]]))]
        order = order[len(batch) :]
        rows.extend(batch)
        ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(prompts[row]) for row in batch], batch_first=True)
        with torch.inference_mode():
            hidden = network(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states
        for name, layer in layers.items():
            ends = [len(prompts[row]) for row in batch]
            own = hidden[layer].float()
            answering = [row[end - 1] for row, end in zip(own, ends, strict=True)]
            means = [row[start:end].mean(dim=0) for row, end in zip(own, ends, strict=True)]
            found.setdefault(name, []).extend(state.numpy() for state in answering)
            found.setdefault(f"mean of {name}", []).extend(mean.numpy() for mean in means)
    back = np.argsort(rows)
    return {name: np.array(values, np.float16)[back] for name, values in found.items()}


def accuracies(part: Split, states: dict[str, Any], draws: int, variants: Sequence[str]) -> dict[str, list[float]]:
    """Accuracy of variants on the corpus, one number a draw of gold labels."""
    words, _, widths = tfidf_features(part.texts[0], part.texts[1], part.cache)
    scores = None if part.scores is None else part.scores[0]
    annotators = [Annotator(part.llm[0].astype(np.int16), scores)]
    found: dict[str, list[float]] = {name: [] for name in variants}
    for variant in variants:
        kinds = [np.hstack([states[name] for name in kind]).astype(np.float32) for kind in VARIANTS[variant]]
        columns = slices([*(kind.shape[1] for kind in kinds), *widths])
        groups = [*([block] for block in columns[: len(kinds)]), columns[len(kinds) :]]
        X = StandardisedMatrix(np.hstack([*kinds, words]).astype(np.float32))
        for draw in range(draws):
            codes, weights = draw_gold(Split(**{**vars(part), "seed": draw}), N_GOLD)
            gold = GoldLabels.of(codes, weights, len(part.classes))
            labels = refine_posterior(X, groups, annotators, gold, 0).probabilities.argmax(axis=1)
            found[variant].append(float((labels == part.truth[0])[codes < 0].mean()))
    return found


def markdown(results: dict[str, dict[str, list[float]]]) -> list[str]:
    lines = [f"| states | accuracy, mean of {len(results)} tables | points above the first row | better on |"]
    lines.append("| --- | --- | --- | --- |")
    base = {table: np.array(found[LAST]) for table, found in results.items()}
    for name in VARIANTS:
        of_table = np.array([np.mean(found[name]) for found in results.values()])
        gains = 100 * np.array([np.mean(np.array(found[name]) - base[table]) for table, found in results.items()])
        error = gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else 0.0
        gain = "" if name == LAST else f"{gains.mean():+.2f} +- {error:.2f}"
        better = "" if name == LAST else f"{(gains > 0).sum()} of {len(gains)}"
        lines.append(f"| {name} | {of_table.mean():.4f} | {gain} | {better} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--rows", type=int, default=1200)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--tables", nargs="*")
    parser.add_argument("--cache", type=Path, default=default_folder())
    options = parser.parse_args()
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for case in find_cases(options.folder, ["weak"], None):
        table = table_stem(case.table)
        lacking = [name for name in VARIANTS if name not in results.get(table, {})]
        if not lacking or case.features != "states" or (options.tables and table not in options.tables):
            continue
        part = split(case, 0, options.rows, options.cache)
        texts = [text[:LONGEST] for text in part.texts[0]]

        def read(table: str = table, part: Split = part, texts: list[str] = texts) -> dict[str, Any]:
            question = QUESTIONS.get(table, SENTIMENT)
            return states(LocalAnnotator(options.model, part.classes, question=question), texts)

        blocks = kept(options.cache, "state-layers", [texts], read)
        with threadpool_limits(1):
            results[table] = results.get(table, {}) | accuracies(part, blocks, options.draws, lacking)
        write_json(RESULTS, results)
        print(table, {name: round(float(np.mean(values)), 4) for name, values in results[table].items()}, flush=True)
    put_into_document(MARK, markdown(results))


if __name__ == "__main__":
    main()
