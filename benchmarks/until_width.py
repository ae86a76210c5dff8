"""Whether intervals hold where labelling stopped because they were narrow: `silr label --until-width`.

    python benchmarks/until_width.py FOLDER [--runs 500] [--tables offensive strong/babe]
    python benchmarks/until_width.py --report

FOLDER holds the tables that compare.py reads. Of each table at most 2,000 random texts are the corpus (as in
estimate_coverage.py). Gold labels come one by one from the truth, as `silr label --draw strata` draws them, and after
each the intervals of all class shares are computed as the page does. A run stops as soon as the widest is at most as
wide as wanted, at the first label or after so many labels in a row. `held` is how often the interval of a class share
holds the truth then. `fixed` is the same at a number of labels that was chosen beforehand: the mean number at the stop.
Of two classes one share is counted, since the other is its complement.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from estimate_coverage import Case
from silr.estimate.ongoing import OngoingShares
from silr.io.corpus import read_table
from silr.io.files import write_json
from silr.label.draw import Draw, gold_weights

RESULTS = Path(__file__).parent / "results" / "until_width.json"
WIDTHS, IN_A_ROW, FEWEST = (0.3, 0.2, 0.15, 0.12), (1, 5, 10, 20), 10
MOST_OF_CORPUS, SHORTEST = 0.6, 180  # labels of a run, which goes on beyond its stops


def walk(case: Case, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """After each label from the tenth on: the widest interval, and which class shares are covered; see FEWEST."""
    draw, shares = Draw(case.strata, seed), OngoingShares(case.llm, case.classes)
    truth = np.bincount(case.truth, minlength=len(case.classes)) / len(case)
    gold: dict[int, int] = {}
    widths, held = [], []
    while len(gold) < MOST_OF_CORPUS * len(case):
        row = draw.next(gold, ())
        assert row is not None
        gold[row] = int(case.truth[row])
        if len(gold) < FEWEST:
            continue
        weights = gold_weights(case.strata, list(gold))
        rows = shares.rows(gold, dict(zip(gold, weights.tolist(), strict=True)))
        assert rows is not None
        widths.append(max(each.width for each in rows))
        held.append([each.low - 1e-12 <= t <= each.high + 1e-12 for each, t in zip(rows, truth, strict=True)])
        if len(gold) >= SHORTEST and max(widths[-max(IN_A_ROW) :]) <= min(WIDTHS):
            break
    return np.array(widths), np.array(held)[:, 1 if len(case.classes) == 2 else 0 :]


def stops(widths: np.ndarray, width: float, in_a_row: int) -> int | None:
    """Place of the label at which labelling stops."""
    narrow = np.convolve(widths <= width, np.ones(in_a_row), mode="valid") >= in_a_row - 0.5
    return int(narrow.argmax()) + in_a_row - 1 if narrow.any() else None


def run_case(case: Case, runs: int) -> list[dict[str, Any]]:
    walks = [walk(case, seed) for seed in range(runs)]
    records = []
    for width in WIDTHS:
        for in_a_row in IN_A_ROW:
            places = [stops(widths, width, in_a_row) for widths, _ in walks]
            stopped = [(place, held) for place, (_, held) in zip(places, walks, strict=True) if place is not None]
            if len(stopped) < runs:
                continue
            labels = np.array([place for place, _ in stopped]) + FEWEST
            fixed = round(labels.mean()) - FEWEST
            at_fixed = [held[fixed] for _, held in walks if fixed < len(held)]
            records.append(
                {
                    "table": case.name,
                    "classes": len(case.classes),
                    "width": width,
                    "in_a_row": in_a_row,
                    "labels": round(float(labels.mean()), 1),
                    "labels_sd": round(float(labels.std()), 1),
                    "held": round(float(np.mean([held[place] for place, held in stopped])), 4),
                    "least": round(float(np.mean([held[place] for place, held in stopped], axis=0).min()), 4),
                    "fixed": round(float(np.mean(at_fixed)), 4) if len(at_fixed) == runs else None,
                }
            )
    return records


def report(records: list[dict[str, Any]]) -> None:
    print("| table | classes | width | in a row | gold labels | held | worst class | fixed number |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for each in records:
        fixed = "" if each["fixed"] is None else f"{100 * each['fixed']:.1f} %"
        print(
            f"| {each['table']} | {each['classes']} | {each['width']} | {each['in_a_row']} | {each['labels']:.0f} "
            f"(sd {each['labels_sd']:.0f}) | {100 * each['held']:.1f} % | {100 * each['least']:.1f} % | {fixed} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--tables", nargs="+", default=["offensive", "strong/babe"])
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
