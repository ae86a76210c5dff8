"""Whether intervals hold where labelling stopped because they were narrow: `silr label --until-width`.

    python benchmarks/until_width.py FOLDER [--runs 500] [--tables NAME ...]
    python benchmarks/until_width.py --report

FOLDER holds the tables that compare.py reads. Of each table at most 2,000 random texts are the corpus (as in
estimate_coverage.py). Gold labels come one by one from the truth, as `silr label --draw strata` draws them, and after
each the intervals of all class shares are computed as the page does. `held` is how often the interval of a class share
holds the truth where labelling stops, `least` that of the class that it holds least. Of two classes one share is
counted, since the other is its complement. `fixed` is the same at a number of labels that was chosen beforehand: the
mean number at the stop.

at once   stops at the first label, from the tenth on, after which the widest interval is at most as wide as wanted
looks     the rule of `silr label`: looks at 50 labels, then at as many as the look before said would do

The rule was chosen on `offensive` and `babe`; the other tables are a check.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from estimate_coverage import Case
from silr.estimate.enough import more_for_all
from silr.estimate.ongoing import OngoingShares
from silr.estimate.result import Row
from silr.io.corpus import read_table
from silr.io.files import write_json
from silr.label.draw import Draw, gold_weights
from silr.label.precision import APART, FIRST_LOOK

RESULTS = Path(__file__).parent / "results" / "until_width.json"
WIDTHS, RULES, FEWEST = (0.25, 0.2, 0.15, 0.12), ("at once", "looks"), 10
TABLES = ["offensive", "strong/babe", "tweets", "laroseda"]
MOST_OF_CORPUS, SHORTEST = 0.6, 180  # labels of a run, which goes on beyond its stops


class Looks:
    """The rule of `silr.label.precision`: when the intervals are looked at, and when they are narrow enough."""

    def __init__(self, width: float) -> None:
        self.width, self.next, self.stop = width, FIRST_LOOK, None

    def look(self, rows: list[Row], gold: int, texts: int) -> None:
        if self.stop is not None or gold < self.next:
            return
        if max(row.width for row in rows) <= self.width:
            self.stop = gold
        else:
            self.next = gold + max(APART, more_for_all(rows, self.width, texts) or 0)


def walk(case: Case, seed: int) -> tuple[dict[tuple[str, float], int | None], np.ndarray]:
    """When each rule stops; and by label, from the tenth on, which class shares are covered."""
    draw, shares = Draw(case.strata, seed), OngoingShares(case.llm, case.classes)
    truth = np.bincount(case.truth, minlength=len(case.classes)) / len(case)
    gold: dict[int, int] = {}
    looks, at_once, held = [Looks(width) for width in WIDTHS], dict.fromkeys(WIDTHS), []
    while len(gold) < MOST_OF_CORPUS * len(case):
        row = draw.next(gold, ())
        assert row is not None
        gold[row] = int(case.truth[row])
        if len(gold) < FEWEST:
            continue
        weights = gold_weights(case.strata, list(gold))
        rows = shares.rows(gold, dict(zip(gold, weights.tolist(), strict=True)))
        assert rows is not None
        held.append([each.low - 1e-12 <= t <= each.high + 1e-12 for each, t in zip(rows, truth, strict=True)])
        for each in looks:
            each.look(rows, len(gold), len(case))
            if at_once[each.width] is None and max(row.width for row in rows) <= each.width:
                at_once[each.width] = len(gold)
        if len(gold) >= SHORTEST and all(each.stop for each in looks):
            break
    stops = {("looks", each.width): each.stop for each in looks} | {("at once", w): n for w, n in at_once.items()}
    return stops, np.array(held)[:, 1 if len(case.classes) == 2 else 0 :]


def run_case(case: Case, runs: int) -> list[dict[str, Any]]:
    walks = [walk(case, seed) for seed in range(runs)]
    records = []
    for width in WIDTHS:
        for rule in RULES:
            stopped = [(stops[rule, width], held) for stops, held in walks]
            if any(labels is None for labels, _ in stopped):
                continue
            labels = np.array([n for n, _ in stopped])
            fixed = round(labels.mean()) - FEWEST
            covered = np.mean([held[n - FEWEST] for n, held in stopped], axis=0)
            records.append(
                {
                    "table": case.name,
                    "classes": len(case.classes),
                    "width": width,
                    "rule": rule,
                    "labels": round(float(labels.mean()), 1),
                    "labels_sd": round(float(labels.std()), 1),
                    "held": round(float(covered.mean()), 4),
                    "least": round(float(covered.min()), 4),
                    "fixed": round(float(np.mean([held[fixed] for _, held in walks if fixed < len(held)])), 4),
                }
            )
    return records


def report(records: list[dict[str, Any]]) -> None:
    print("| table | classes | width | rule | gold labels | held | worst class | fixed number |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for each in records:
        print(
            f"| {each['table']} | {each['classes']} | {each['width']} | {each['rule']} | {each['labels']:.0f} "
            f"(sd {each['labels_sd']:.0f}) | {100 * each['held']:.1f} % | {100 * each['least']:.1f} % | "
            f"{100 * each['fixed']:.1f} % |"
        )
    for rule in RULES:
        held = [each["held"] for each in records if each["rule"] == rule]
        print(f"{rule}: {100 * np.mean(held):.1f} % in the mean of {len(held)} rows, least {100 * min(held):.1f} %")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--tables", nargs="+", default=TABLES)
    parser.add_argument("--dry", action="store_true", help="Do not write the results.")
    parser.add_argument("--report", action="store_true")
    args = parser.parse_args()
    if args.report:
        report(json.loads(RESULTS.read_text())["records"])
        return
    records: list[dict[str, Any]] = []
    for name in args.tables:
        path = args.folder / f"{name}.csv.gz"
        column = next(column for column in read_table(path).columns if column.startswith("llm_label"))
        records += run_case(Case(path, column), args.runs)
    report(records)
    if not args.dry:
        write_json(RESULTS, {"runs": args.runs, "records": records})


if __name__ == "__main__":
    main()
