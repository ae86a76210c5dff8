"""Gold labels drawn in rounds against gold labels drawn by strata: how good labels they teach, how well they judge.

    python benchmarks/gold_rounds.py FOLDER... [--draws 5] [--features FOLDER] [--ablation] [--quick]

Of each table in the folders, and each LLM that labelled it, 100 texts get their true label as gold label: drawn by
strata, and in rounds as `silr label` does with a fit after every ten labels, the first half being the same texts. Given
are the accuracy of the refined labels on the whole corpus, gold rows counted as right, and how often the 95 % interval
of the accuracy of the LLM's labels and of the refined ones holds the truth, with its mean width: by Kish's effective
size (`silr.stats.priors`) and by the difference estimator (`silr.stats.gold_accuracy`). Results go into
benchmarks/results/gold_rounds.json; what is there is not computed again.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from silr import LabelRefiner
from silr.errors import InputError, NoSignalError
from silr.features.tfidf import TfidfFeatures
from silr.io.annotator_columns import scored_classes
from silr.io.cells import sort_classes
from silr.io.corpus import (
    features_path,
    label_column,
    read_table,
    score_columns,
    table_stem,
    text_column,
)
from silr.io.files import write_json
from silr.label import adaptive_draw
from silr.label.adaptive_draw import AdaptiveDraw, draw_probabilities
from silr.label.draw import Draw, Strata, make_strata
from silr.label.draw_weights import DrawHistory
from silr.stats.gold_accuracy import accuracy_from_gold
from silr.stats.priors import priors_from_gold

RESULTS = Path(__file__).parent / "results" / "gold_rounds.json"
N_GOLD = 100
PREFIX = "llm_label"
ABLATED = 600  # rows; the ablation is of the tables up to this size, where a fit takes a second


@dataclass(frozen=True)
class Setting:
    """How gold labels are drawn; the defaults are those of `silr label`."""

    by_strata: float = adaptive_draw.BY_STRATA
    uniform: float = adaptive_draw.UNIFORM
    power: float = adaptive_draw.POWER
    every: int = adaptive_draw.EVERY

    @property
    def name(self) -> str:
        return " ".join(f"{name}={value:g}" for name, value in asdict(self).items())


STRATA, ROUNDS = Setting(by_strata=1.0), Setting()
ABLATIONS = [
    *(replace(ROUNDS, by_strata=share) for share in (0.3, 0.7)),
    *(replace(ROUNDS, uniform=share) for share in (0.1, 0.4, 1.0)),
    *(replace(ROUNDS, power=power) for power in (1.0, 4.0)),
    *(replace(ROUNDS, every=every) for every in (5, 25, 50)),
]


@dataclass
class Case:
    """A table with the labels of one LLM; classes are numbers."""

    name: str
    X: Any
    llm: Any
    truth: Any
    scores: Any
    n_classes: int
    strata: Strata


def cases(folders: list[Path], features: Path | None, only: list[str]) -> Iterator[Case]:
    for path in sorted(path for folder in folders for path in folder.glob("*.csv*")):
        name = table_stem(path)
        if only and name not in only:
            continue
        frame = read_table(path)
        truth = label_column(frame, "truth", path)
        classes = scored_classes(frame) or sort_classes({label for label in truth if label is not None})
        code: dict[str | None, int] = {None: -1} | {label: number for number, label in enumerate(classes)}
        scores = score_columns(frame, classes, path) if scored_classes(frame) else None
        X = None
        for column in frame.columns:
            if column == PREFIX or column.startswith(f"{PREFIX}_"):
                if X is None:
                    X = matrix(path, name, frame, features)
                llm = np.array([code.get(label, -1) for label in label_column(frame, column, path)])
                case = f"{name}{column.removeprefix(PREFIX)}"
                true = np.array([code[label] for label in truth])
                yield Case(case, X, llm, true, scores, len(classes), make_strata(llm, len(classes), scores))


def matrix(path: Path, name: str, frame: Any, features: Path | None) -> Any:
    """Hidden states if there are any, else ready embeddings if there are any; and TF-IDF, ready or made."""
    parts = []
    ready = {kind: features / f"{name}.{kind}.npy" for kind in ("minilm", "tfidf")} if features else {}
    if features_path(path).exists():
        parts.append(np.load(features_path(path)).astype(np.float32))
    elif ready and ready["minilm"].exists():
        parts.append(np.load(ready["minilm"]))
    if ready and ready["tfidf"].exists():
        parts.append(np.load(ready["tfidf"]))
    else:
        parts.append(TfidfFeatures().fit_transform(text_column(frame)))
    return np.hstack(parts)


def fit(case: Case, rows: list[int], seed: int) -> tuple[Any, Any]:
    """Refined labels and class probabilities; those of the LLM where nothing can be refined."""
    gold = np.full(len(case.llm), None, dtype=object)
    gold[rows] = case.truth[rows]
    llm = np.where(case.llm < 0, None, case.llm.astype(object))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            refiner = LabelRefiner(random_state=seed).fit(
                case.X,
                llm,
                gold,
                llm_scores=case.scores,
                gold_weight=np.ones(len(gold)),
                classes=np.arange(case.n_classes),
            )
    except (InputError, NoSignalError):
        return case.llm, None
    return refiner.out_of_fold_labels_.astype(int), np.asarray(refiner.out_of_fold_scores_)


def draw_gold(case: Case, setting: Setting, seed: int) -> tuple[list[int], DrawHistory]:
    """Rows in the order of drawing, with a fit after every so many labels for which nobody waits too little."""
    rows: list[int] = []
    history = DrawHistory(rounds=True)
    by_strata = Draw(case.strata, seed)
    posterior = None
    while len(rows) < N_GOLD:
        if len(rows) < setting.by_strata * N_GOLD:
            row = by_strata.next(set(rows), ())
            assert row is not None
            rows.append(row)
            continue
        if posterior is None or len(rows) % setting.every == 0:
            posterior = fit(case, rows, seed)[1] if setting.uniform < 1 else np.full((len(case.llm), 2), 0.5)
            assert posterior is not None, case.name
        free = np.setdiff1d(np.arange(len(case.llm)), rows)
        p = draw_probabilities(posterior[free], setting.uniform, setting.power)
        number = len(history.adaptive) + 1
        k = int(np.random.default_rng([seed, 2, number]).choice(len(free), p=p))
        rows.append(int(free[k]))
        history.adaptive[rows[-1]] = AdaptiveDraw(number, float(p[k]))
    return rows, history


def measure(case: Case, setting: Setting, seed: int) -> dict[str, Any]:
    rows, history = draw_gold(case, setting, seed)
    labels, probabilities = fit(case, rows, seed)
    n = len(case.llm)
    gold, weight = np.full(n, -1), np.zeros(n)
    gold[rows] = case.truth[rows]
    weights = history.weights(case.strata, rows)
    weight[list(weights)] = list(weights.values())
    given = labels.copy()
    given[rows] = case.truth[rows]
    known = weight[rows]
    result: dict[str, Any] = {
        "accuracy": float((given == case.truth).mean()),
        "llm_accuracy": float((case.llm == case.truth).mean()),
        "effective_size": float(known.sum() ** 2 / (known @ known)),
    }
    for what, judged in (("llm", case.llm), ("refined", labels)):
        there = judged >= 0
        truth = float((judged == case.truth)[there].mean())
        priors = priors_from_gold(judged[there], gold[there], case.n_classes, weight[there])
        found = {"kish": (priors.accuracy, priors.accuracy_interval.tolist())}
        if probabilities is not None:
            found["difference"] = accuracy_from_gold(judged, gold, weight, probabilities)
        for how, (value, (low, high)) in found.items():
            result[f"{what} {how}"] = {"error": value - truth, "width": high - low, "holds": bool(low <= truth <= high)}
    return result


def mean(values: list[float]) -> str:
    """Mean and standard error."""
    return (
        f"{100 * np.mean(values):.2f} ± {100 * np.std(values, ddof=1) / np.sqrt(len(values)):.2f}"
        if values[1:]
        else "-"
    )


def report(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Print the comparison, and return it."""
    by: dict[str, dict[tuple[str, int], Any]] = defaultdict(dict)
    for record in records:
        by[record["setting"]][record["case"], record["draw"]] = record
    summary: dict[str, Any] = {}
    strata = by[STRATA.name]
    print("\n| setting | cases x draws | accuracy, % | over strata: by case | by draw | cases won |")
    print("| --- " * 6 + "|")
    for setting, found in by.items():
        pairs = [key for key in found if key in strata]
        if not pairs:
            continue
        gains = {key: found[key]["accuracy"] - strata[key]["accuracy"] for key in pairs}
        names = sorted({case for case, _ in pairs})
        by_case = [float(np.mean([gain for (case, _), gain in gains.items() if case == name])) for name in names]
        accuracy = float(np.mean([found[key]["accuracy"] for key in pairs]))
        line = f"| {setting} | {len(pairs)} | {100 * accuracy:.2f} | {mean(by_case)} | {mean(list(gains.values()))} |"
        print(line, f"{sum(gain > 0 for gain in by_case)} of {len(names)} |")
        summary[setting] = {"pairs": len(pairs), "accuracy": accuracy, "gain": float(np.mean(by_case))}
        summary[setting]["gain_error"] = float(np.std(by_case, ddof=1) / len(by_case) ** 0.5) if by_case[1:] else None
        summary[setting]["gain_by_case"] = dict(zip(names, by_case, strict=True))
    print("\n| setting | interval | covers, % | mean width | mean error | root mean square error |")
    print("| --- " * 6 + "|")
    for setting, found in by.items():
        for which in [f"{what} {how}" for what in ("llm", "refined") for how in ("kish", "difference")]:
            rows = [record[which] for record in found.values() if which in record]
            if not rows:
                continue
            holds, width, error = (np.array([row[name] for row in rows]) for name in ("holds", "width", "error"))
            values = {"covers": holds.mean(), "width": width.mean(), "bias": error.mean()}
            values = {name: float(value) for name, value in values.items()} | {
                "rmse": float(np.sqrt((error**2).mean()))
            }
            print(f"| {setting} | {which} | {100 * values['covers']:.1f} |", end=" ")
            print(f"{values['width']:.4f} | {values['bias']:+.4f} | {values['rmse']:.4f} |")
            summary.setdefault(setting, {})[which] = values
    return summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--tables", nargs="*", default=[], help="Names; default: all.")
    parser.add_argument("--features", type=Path, help="A folder of ready NAME.minilm.npy and NAME.tfidf.npy.")
    parser.add_argument("--ablation", action="store_true", help=f"Other constants, on tables up to {ABLATED} rows.")
    parser.add_argument("--quick", action="store_true", help="One draw of the small tables, for a look.")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    records = json.loads(args.out.read_text(encoding="utf-8"))["records"] if args.out.exists() else []
    done = {(record["case"], record["setting"], record["draw"]) for record in records}
    for case in cases(args.folders, args.features, args.tables):
        small = len(case.llm) <= ABLATED
        if args.quick and not small:
            continue
        settings = [STRATA, ROUNDS, *(ABLATIONS if args.ablation and small else [])]
        for setting in settings:
            for draw in range(1 if args.quick else args.draws):
                if (case.name, setting.name, draw) in done:
                    continue
                start = time.perf_counter()
                record = {"case": case.name, "setting": setting.name, "draw": draw, **measure(case, setting, draw)}
                records.append(record)
                write_json(args.out, {"records": records})
                seconds = time.perf_counter() - start
                print(f"{case.name} {setting.name} {draw}: {record['accuracy']:.4f} {seconds:.1f} s", flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(args.out, {"summary": report(records), "records": records})


if __name__ == "__main__":
    main()
