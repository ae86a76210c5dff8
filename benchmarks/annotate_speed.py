"""Local annotation beside skorch's ZeroShotClassifier and llama-cpp-python: texts a second, equal labels, peak memory.

All read the same texts with the same GGUF file, prompt and number of threads, turn by turn in one process. The ratio
of each turn is of two things measured one after the other, in wall time and in processor time, which says more on a
machine with other work. Nothing is learnt between turns (skorch's cache of answers is cleared). skorch gets the weights
as silr unpacks them, and computes the same probabilities up to rounding; llama.cpp multiplies quantised weights with
rounded activations, so its probabilities differ. A class is one token.

Memory is the peak of a fresh process that annotates a table end to end, from reading it to the files that come out.

    pip install skorch==1.4.0 llama-cpp-python==0.3.36   # the latter compiles llama.cpp for this processor
    python benchmarks/annotate_speed.py
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from itertools import product
from pathlib import Path

import numpy as np

from annotate_rivals import RIVALS, Reader

CLASSES = ["negative", "positive"]
QUESTION = "Is the sentiment of this review positive or negative?"
GUIDELINES = (
    "You label product reviews for a shop. A review is positive if the customer would buy the product again, "
    "recommends it or mostly praises it. It is negative if the customer is disappointed, regrets the purchase or "
    "mostly complains. Judge the review as a whole; where it names both sides, decide by what weighs more.\n\n"
)
PROMPTS = {  # silr's default message, and the same after a paragraph of guidelines
    "one line": "{question} Answer with one word.\n\nText: {text}",
    "with guidelines": GUIDELINES + "{question} Answer with one word.\n\nText: {text}",
}
OPENING = "The sentiment of this review is"
RESULT = Path(__file__).parent / "results" / "annotate_speed.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", help="a table with a column text (default: the Amazon review snippets)")
    parser.add_argument("--model", help="model folder, .gguf file or hub name (default: SmolLM2-135M-Instruct)")
    parser.add_argument("--rows", type=int, default=300, help="texts to compare the speed on (default 300)")
    parser.add_argument("--dtypes", nargs="+", default=["float32"], help="silr's and skorch's (default float32)")
    parser.add_argument("--rivals", nargs="+", choices=RIVALS, default=list(RIVALS))
    parser.add_argument("--turns", type=int, default=3, help="how often each reads them (default 3)")
    parser.add_argument(
        "--memory-rows", type=int, default=20_000, help="texts of the memory run (default 20,000; 0: none)"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of torch (default: all cores)")
    parser.add_argument("--output", default=RESULT, help=f"where the results go (default {RESULT.name})")
    parser.add_argument("--peak-of", nargs=2, help=argparse.SUPPRESS)  # the memory run's own process
    options = parser.parse_args()
    if options.peak_of:
        annotate_in_this_process(options.model, options.threads, *options.peak_of)
        return
    if not options.model:
        from silr.cli.demo_data import demo_model

        options.model = str(demo_model())
    texts = read_texts(options.table)
    chosen = sample(texts, options.rows)
    comparisons = {
        f"{name}, {dtype}": compare(options, PROMPTS[name], dtype, chosen)
        for name, dtype in product(PROMPTS, options.dtypes)
    }
    result = {**conditions(options), "comparisons": comparisons}
    save(result, options.output)
    if options.memory_rows:
        save({**result, "end_to_end": memory(options, texts)}, options.output)


def save(result: dict[str, object], path: str | Path) -> None:
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2), flush=True)


def read_texts(table: str | None) -> list[str]:
    """Return the distinct texts that are not empty."""
    from silr.io.corpus import read_table, text_column

    if table is None:
        from silr.cli.demo_data import demo_texts

        frame = demo_texts()
    else:
        frame = read_table(table)
    return list(dict.fromkeys(text for text in text_column(frame) if text.strip()))


def sample(texts: list[str], n: int) -> list[str]:
    chosen = np.random.default_rng(0).permutation(len(texts))[:n]
    return [texts[row] for row in chosen]


def compare(options: argparse.Namespace, template: str, dtype: str, texts: list[str]) -> dict[str, object]:
    """Time all, turn by turn, and compare their labels and probabilities with silr's."""
    import torch

    from silr.annotators import LocalAnnotator
    from silr.hf import models

    torch.set_num_threads(options.threads)
    model, answers = options.model, [f" {each}" for each in CLASSES]
    asked = {"question": QUESTION, "prompt": template, "opening": OPENING}
    ours = LocalAnnotator(model, CLASSES, **asked, device="cpu", dtype=dtype)
    tokenizer = models.load_tokenizer(model)
    message = [{"role": "user", "content": template.replace("{question}", QUESTION)}]
    prompt = tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True) + OPENING
    readers: dict[str, Reader] = {"silr": lambda texts: np.exp(ours.annotate(texts).scores)}
    for name in options.rivals:
        readers[name] = RIVALS[name](model, dtype, prompt, answers, options.threads)
    for read in readers.values():
        read(texts[:2])
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in readers}
    probabilities = {}
    for turn in range(options.turns):
        for name, read in readers.items():
            began, worked = time.perf_counter(), time.process_time()
            probabilities[name] = read(texts)
            times[name].append((time.perf_counter() - began, time.process_time() - worked))
            print(f"{dtype}, turn {turn + 1}, {name}: {len(texts) / times[name][-1][0]:.2f} texts/s", flush=True)
    p = probabilities["silr"]
    methods = {
        name: {
            "texts_per_second": [round(len(texts) / seconds, 3) for seconds, _ in each],
            "processor_seconds_per_text": [round(worked / len(texts), 4) for _, worked in each],
            "silr_is_faster_by": median_ratio([a for a, _ in each], [a for a, _ in times["silr"]]),
            "silr_is_faster_by_processor_time": median_ratio([b for _, b in each], [b for _, b in times["silr"]]),
            "equal_labels": float((p.argmax(1) == probabilities[name].argmax(1)).mean()),
            "largest_difference_of_a_probability": float(np.abs(p - probabilities[name]).max()),
        }
        for name, each in times.items()
    }
    return {"texts": len(texts), "turns": options.turns, "methods": methods}


def median_ratio(seconds: list[float], ours: list[float]) -> float:
    return round(statistics.median(a / b for a, b in zip(seconds, ours, strict=True)), 3)


def conditions(options: argparse.Namespace) -> dict[str, object]:
    packages = ["torch", "transformers", *{name.partition(",")[0] for name in options.rivals}]
    versions = {name: version(name) for name in packages}
    load = os.getloadavg()[0]
    return {"threads": options.threads, "processor": processor(), "load_average": load, "versions": versions}


def memory(options: argparse.Namespace, texts: list[str]) -> dict[str, object]:
    """Annotate a large table of distinct texts in a process of its own, and return that process's peak."""
    import pandas as pd

    many = [f"{texts[row % len(texts)]} {row // len(texts) or ''}".strip() for row in range(options.memory_rows)]
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "texts.csv"
        pd.DataFrame({"text": many}).to_csv(table, index=False)
        arguments = ["--model", options.model, "--threads", str(options.threads)]
        command = [sys.executable, __file__, *arguments, "--peak-of", str(table), str(Path(folder) / "out.csv")]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    peak: dict[str, object] = json.loads(done.stdout)
    return peak


def annotate_in_this_process(model: str, threads: int, table: str, output: str) -> None:
    import torch

    from silr.annotators import LocalAnnotator, annotate_file

    torch.set_num_threads(threads)
    annotator = LocalAnnotator(model, CLASSES, question=QUESTION, opening=OPENING, device="cpu")
    summary = annotate_file(table, output, annotator)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    seconds = round(summary.seconds, 1)
    rate = round(summary.texts.total / summary.seconds, 2)
    print(
        json.dumps(
            {"rows": summary.texts.total, "seconds": seconds, "rows_per_second": rate, "peak_gb": round(peak, 3)}
        )
    )


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


if __name__ == "__main__":
    main()
