"""The paper's configuration, end to end: one dataset, one LLM's labels, five iterations of QLoRA, on a GPU machine.

    pip install 'silr[qlora,bench]'
    python benchmarks/paper.py safety --llm COLUMN --model meta-llama/Llama-3.2-1B-Instruct
    python benchmarks/paper.py fakenews --sources Fake.csv True.csv --llm COLUMN --model ...
    python benchmarks/paper.py my/dataset --text review --truth stars --classes 0=negative 1=positive --llm COLUMN ...

Splits 7:1:2 (corpus 8, of which an eighth validates, and a test part), seeds 0 to 2. --priors oracle takes theta and
the class prior from all true labels, as the paper's main table does; gold takes them from --gold texts. Truth scores
each iteration. Prints accuracy by iteration, and keeps it in --out; a stopped run goes on where it stopped (--work).
Several GPUs: accelerate launch benchmarks/paper.py ... If a table has no LLM's labels, let `silr annotate` make them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from paper_datasets import PUBLISHED, load_any, load_published
from scores import mean_and_deviation, score
from silr import LabelRefiner
from silr.errors import InputError, NoSignalError
from silr.hf.distributed import is_main
from silr.io.files import write_json
from silr.label.draw import draw_texts

RESULTS = Path(__file__).parent / "results" / "paper"


def one_seed(frame: Any, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    order = np.random.default_rng(seed).permutation(len(frame))
    corpus, test = frame.iloc[order[len(frame) // 5 :]], frame.iloc[order[: len(frame) // 5]]
    truth, llm = corpus["truth"].to_numpy(dtype=object), corpus["llm_label"].to_numpy(dtype=object)
    refiner = LabelRefiner.from_options(
        classifier=options.classifier,
        iterations=options.iterations,
        method="paper",
        model=options.model,
        priors=options.priors,
        max_length=options.max_length,
        run=options.work / f"{Path(options.dataset).name}-{Path(options.model).name}-{options.priors}-{seed}",
        random_state=seed,
    )
    gold, weight = None, None
    if options.priors == "gold":
        known = sorted({label for label in llm if isinstance(label, str)})
        codes = np.array([known.index(label) if isinstance(label, str) else -1 for label in llm])
        rows, weights = draw_texts(codes, options.gold, seed)
        gold, weight = np.full(len(llm), None, dtype=object), np.full(len(llm), np.nan)
        gold[rows], weight[rows] = truth[rows], weights
    try:
        refiner.fit(list(corpus["text"]), llm, gold, gold_weight=weight, truth=truth)
    except NoSignalError as error:
        return {"refused": str(error)}
    return {
        "corpus_by_iteration": [entry["metrics"]["true_accuracy"] for entry in refiner.history_],
        "test": score(test["truth"].to_numpy(dtype=object), refiner.predict(list(test["text"]))),
        "test_llm": float((test["llm_label"] == test["truth"]).mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", help=f"{', '.join(PUBLISHED)}; or a hub name, folder or file")
    parser.add_argument("--folder", type=Path, help="a copy of one of the four")
    parser.add_argument("--sources", nargs="+", default=[], help="files with the texts of a hashed dataset")
    parser.add_argument("--text", default="text")
    parser.add_argument("--truth", default="label")
    parser.add_argument("--llm", help="column with the LLM's labels")
    parser.add_argument("--classes", nargs="+", help="VALUE=NAME ...", type=lambda pair: tuple(pair.split("=", 1)))
    parser.add_argument("--model", required=True, help="what to fine-tune: hub name or folder")
    parser.add_argument("--classifier", default="qlora", choices=["qlora", "lora", "full"])
    parser.add_argument("--iterations", type=int, default=5)
    parser.add_argument("--max-length", type=int)
    parser.add_argument("--priors", default="oracle", choices=["oracle", "gold"])
    parser.add_argument("--gold", type=int, default=100)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--work", type=Path, default=Path("paper-runs"))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    try:
        if options.dataset in PUBLISHED:
            frame = load_published(options.dataset, options.llm, options.folder, options.sources)
        else:
            columns = {"text": options.text, "truth": options.truth, "llm": options.llm}
            frame = load_any(options.dataset, **columns, classes=options.classes and dict(options.classes))
        if "llm_label" not in frame:
            raise InputError("the table has no LLM's labels: make some with `silr annotate`")
        options.work.mkdir(parents=True, exist_ok=True)
        out = options.out or RESULTS / f"{Path(options.dataset).stem}-{Path(options.model).name}-{options.priors}.json"
        found = json.loads(out.read_text()) if out.exists() else {}
        for seed in options.seeds:
            if str(seed) not in found:
                found[str(seed)] = one_seed(frame, seed, options)
                if is_main():
                    out.parent.mkdir(parents=True, exist_ok=True)
                    write_json(out, found)
    except InputError as error:
        raise SystemExit(f"paper.py: {error}") from error
    if not is_main():
        return
    done = [found[str(seed)] for seed in options.seeds if "refused" not in found[str(seed)]]
    print(f"{options.dataset}, {len(done)} of {len(options.seeds)} seeds (the others were refused)")
    for number in range(options.iterations + 1):
        values = [run["corpus_by_iteration"][number] for run in done if number < len(run["corpus_by_iteration"])]
        print(f"  corpus, {f'iteration {number}' if number else 'the LLM':12} {mean_and_deviation(values)}")
    print(f"  test, the LLM        {mean_and_deviation([run['test_llm'] for run in done])}")
    print(f"  test, refined        {mean_and_deviation([run['test']['accuracy'] for run in done])}")


if __name__ == "__main__":
    main()
