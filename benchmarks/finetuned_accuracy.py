"""Test accuracy of a fine-tuned LLM, against frozen heads on the same splits, features of it, and gold labels.

    python benchmarks/finetuned_accuracy.py FOLDER MODEL [--tables nyt amazon] [--tune-top 8]

FOLDER is that of compare.py, and so are splits and gold labels. MODEL is the annotator: a folder or a ``.gguf`` file;
it reads each text inside the prompt that it was asked with, unless there is another --prompt.
The options are those of silr.LabelRefiner.from_options. A stopped benchmark goes on where it stopped: finished
iterations lie in --work, finished seeds in the results.
Prints a table and writes results/finetuned_accuracy.json.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from cases import weak_case
from methods import METHODS, Gold, gold_column
from scores import mean_and_deviation, score
from silr import LabelRefiner
from silr.annotators.encoding import prompt_around_text
from silr.annotators.prompts import Prompt
from silr.errors import NoSignalError
from silr.hf.models import load_tokenizer, locate
from tables import Split, draw_gold, split

KINDS = {"amazon": "product review", "nyt": "newspaper editorial", "movie": "movie review", "tweets": "tweet"}
QUESTION = "Is the sentiment of this {kind} positive or negative?"
TEMPLATE = "{{question}} Answer with one word.\n\n{KIND}:\n{{text}}"
RESULTS = Path(__file__).parent / "results" / "finetuned_accuracy.json"


def one_seed(
    table: Path, seed: int, options: dict[str, Any], work: Path, n_gold: int, rows: int | None
) -> dict[str, Any]:
    part = split(weak_case(table), seed, rows)
    gold = draw_gold(part, n_gold)
    began = time.monotonic()

    def say(number: int, done: int, steps: int) -> None:
        seconds = time.monotonic() - began
        print(f"\r  {table.name} seed {seed}: iteration {number}, {done}/{steps}, {seconds:.0f} s", end="", flush=True)

    refiner = LabelRefiner.from_options(random_state=seed, run=work / f"{table.name}-{seed}", **options)
    found = {"LLM": both(part, part.llm)}
    for name in ("UU, prior matched", "silr"):
        found[f"frozen head, {name}"] = both(part, METHODS[name].run(part, Gold(*gold))[-1].labels)
    labels, weights = gold
    given = {"llm_scores": part.scores[0], "gold_weight": weights, "truth": part.truth[0], "on_step": say}
    given["classes"] = list(range(part.scores[0].shape[1]))  # an LLM may give one class only
    try:
        refiner.fit(part.texts[0], part.llm[0], gold_column(labels), **given)
    except NoSignalError as error:
        return {**found, "fine-tuned": {"refused": str(error)}}
    found["fine-tuned"] = {
        **both(part, (refiner.out_of_fold_labels_, refiner.predict(part.texts[1]))),
        "corpus_by_iteration": [entry["metrics"]["true_accuracy"] for entry in refiner.history_],
        "estimated": [refiner.priors_.accuracy, *refiner.priors_.accuracy_interval],
        "seconds": round(time.monotonic() - began),
    }
    return found


def both(part: Split, labels: tuple[Any, Any]) -> dict[str, Any]:
    """Scores of labels of the corpus and of the test part."""
    return {name: score(part.truth[i], labels[i]) for i, name in enumerate(("corpus", "test"))}


def asked(table: str, model: Path) -> str:
    """The annotator's prompt, with {text}."""
    words = {"kind": KINDS[table], "KIND": KINDS[table].upper()}
    prompt = Prompt(
        ["negative", "positive"], QUESTION.format(**words), TEMPLATE.format(**words), opening="The sentiment is"
    )
    return prompt_around_text(prompt, load_tokenizer(locate(str(model))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--tables", nargs="+", default=["nyt", "amazon"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--gold", type=int, default=100)
    parser.add_argument("--rows", type=int, help="take so many rows of a table only")
    parser.add_argument("--classifier", default="lora")
    parser.add_argument("--method", default="silr")
    parser.add_argument("--iterations", type=int, default=5)
    parser.add_argument("--prompt")
    parser.add_argument("--tune-top", type=int)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--correction")
    parser.add_argument("--work", type=Path, default=Path("finetuned-runs"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    names = (
        "classifier",
        "method",
        "iterations",
        "prompt",
        "tune_top",
        "epochs",
        "learning_rate",
        "batch_size",
        "correction",
    )
    options = {name: getattr(arguments, name) for name in names}
    found: dict[str, Any] = {"gold": arguments.gold, "options": options, "tables": {}}
    if arguments.out.exists():
        found = json.loads(arguments.out.read_text())
        if found["options"] != options or found["gold"] != arguments.gold:
            raise SystemExit(f"{arguments.out} holds results of other options: give another --out, or remove it")
    arguments.work.mkdir(exist_ok=True, parents=True)
    for name in arguments.tables:
        seeds = found["tables"].setdefault(name, {})
        for seed in arguments.seeds:
            if str(seed) not in seeds:
                table = arguments.folder / f"{name}.csv.gz"
                trained = {**options, "model": arguments.model}
                if arguments.prompt is None:
                    trained["prompt"] = asked(name, arguments.model)
                seeds[str(seed)] = one_seed(table, seed, trained, arguments.work, arguments.gold, arguments.rows)
                arguments.out.write_text(json.dumps(found, indent=1) + "\n")
        print(f"\n{name}, seeds {', '.join(seeds)}: test accuracy, corpus accuracy")
        for method in next(iter(seeds.values())):
            runs = [seed[method] for seed in seeds.values() if "refused" not in seed[method]]
            cells = [mean_and_deviation([run[part]["accuracy"] for run in runs]) for part in ("test", "corpus")]
            print(f"  {method:32}{cells[0]:>16}{cells[1]:>16}   {len(seeds) - len(runs)} refused")
        print(f"  seconds a seed: {', '.join(str(seed['fine-tuned']['seconds']) for seed in seeds.values())}")


if __name__ == "__main__":
    main()
