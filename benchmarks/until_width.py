"""Whether intervals hold where labelling stopped because they were narrow: `silr label --until-width`.

    python benchmarks/until_width.py FOLDER [--runs 500] [--tables NAME ...]
    python benchmarks/until_width.py --report

FOLDER holds the tables that compare.py reads. Of each table at most 2,000 random texts are the corpus (as in
estimate_coverage.py). Gold labels come one by one from the truth, as `silr label --draw strata` draws them, and after
each the intervals of all class shares are computed as the page does. `held` is how often the interval of a class share
holds the truth where labelling stops, `least` that of the class that it holds least. Of two classes one share is
counted, since the other is its complement.

at once   stops at the first label, from the tenth on, after which the widest interval is at most as wide as wanted
looks     the rule of `silr label`: looks at 50 labels, then at as many as the look before said would do

The rule was chosen on `offensive` and `babe`; `tweets` is a check.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from estimate_coverage import Case
from silr.estimates.enough import more_for_all
from silr.estimates.ongoing import OngoingShares
from silr.estimates.result import Row
from silr.io.corpus import read_table
from silr.io.files import write_json
from silr.label.draw import Draw, gold_weights
from silr.label.precision import APART, FIRST_LOOK

RESULTS = Path(__file__).parent / "results" / "until_width.json"
WIDTHS, RULES, FEWEST = (0.2, 0.15), ("at once", "looks"), 10
TABLES = ["offensive", "strong/babe", "tweets"]
MOST_OF_CORPUS = 0.6


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


def walk(case: Case, seed: int) -> dict[tuple[str, float], tuple[int, list[bool]]]:
    """For each rule and width: the number of labels at which it stops, and which class shares are covered then."""
    draw, shares = Draw(case.strata, seed), OngoingShares(case.llm, case.classes)
    truth = np.bincount(case.truth, minlength=len(case.classes)) / len(case)
    gold: dict[int, int] = {}
    looks, stops = [Looks(width) for width in WIDTHS], {}
    while len(gold) < MOST_OF_CORPUS * len(case) and len(stops) < len(RULES) * len(WIDTHS):
        row = draw.next(gold, ())
        assert row is not None
        gold[row] = int(case.truth[row])
        waiting = [each for each in looks if each.stop is None and len(gold) >= each.next]
        if len(gold) < FEWEST or not (waiting or any(("at once", width) not in stops for width in WIDTHS)):
            continue
        weights = gold_weights(case.strata, list(gold))
        rows = shares.rows(gold, dict(zip(gold, weights.tolist(), strict=True)))
        assert rows is not None
        held = [each.low - 1e-12 <= t <= each.high + 1e-12 for each, t in zip(rows, truth, strict=True)]
        now = len(gold), held[1 if len(case.classes) == 2 else 0 :]
        for each in waiting:
            each.look(rows, len(gold), len(case))
            if each.stop is not None:
                stops["looks", each.width] = now
        for width in WIDTHS:
            if max(row.width for row in rows) <= width:
                stops.setdefault(("at once", width), now)
    return stops


def run_case(case: Case, runs: int) -> list[dict[str, Any]]:
    walks = [walk(case, seed) for seed in range(runs)]
    records = []
    for width in WIDTHS:
        for rule in RULES:
            stopped = [stops[rule, width] for stops in walks if (rule, width) in stops]
            labels, covered = np.array([n for n, _ in stopped]), np.mean([held for _, held in stopped], axis=0)
            records.append(
                {
                    "table": case.name,
                    "classes": len(case.classes),
                    "width": width,
                    "rule": rule,
                    "stopped": len(stopped),
                    "labels": round(float(labels.mean()), 1),
                    "labels_sd": round(float(labels.std()), 1),
                    "held": round(float(covered.mean()), 4),
                    "least": round(float(covered.min()), 4),
                }
            )
    return records


def report(records: list[dict[str, Any]]) -> None:
    print("| table | classes | width | rule | gold labels | held | worst class |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for each in records:
        print(
            f"| {each['table']} | {each['classes']} | {each['width']} | {each['rule']} | {each['labels']:.0f} "
            f"(sd {each['labels_sd']:.0f}) | {100 * each['held']:.1f} % | {100 * each['least']:.1f} % |"
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
