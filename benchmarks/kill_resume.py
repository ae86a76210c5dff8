"""Kill `silr refine` at random moments and check that it ends as if nothing had happened.

A synthetic table is refined once undisturbed. Then runs of the same command are killed with SIGKILL at random moments,
up to four times each, started again until they end, and compared with the first to the byte: labels.csv and every
iteration's labels, scores, priors and classifier. No finished iteration may be lost or done again (inodes and times).
Run from anywhere: `python benchmarks/kill_resume.py [--kills 24]`; about five minutes on two cores.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from killing import killed_at_random, undisturbed  # noqa: E402
from synthetic import make_corpus  # noqa: E402

OPTIONS = ["--features", "tfidf", "--hidden-units", "128", "--epochs", "40", "--device", "cpu"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=24, help="at least so many")
    parser.add_argument("--rows", type=int, default=12_000)
    arguments = parser.parse_args()
    outcomes = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = make_corpus(arguments.rows, n_gold=200).write(folder, "table.csv")
        reference = undisturbed(table, folder / "reference", OPTIONS)
        print(f"undisturbed: {reference.seconds:.1f} s, {reference.work:.1f} s of it after the start", flush=True)
        while sum(len(each.killed) for each in outcomes) < arguments.kills:
            seed = len(outcomes)
            rng = np.random.default_rng(seed)
            outcomes.append(outcome := killed_at_random(reference, folder / str(seed), 1 + seed % 4, rng))
            verdict = "; ".join(outcome.wrong) or "identical"
            print(
                f"run {seed}: killed at {outcome.killed} s, iterations then {outcome.finished}: {verdict}", flush=True
            )
    kills = sum(len(each.killed) for each in outcomes)
    wrong = sum(bool(each.wrong) for each in outcomes)
    by_iteration = np.bincount(np.concatenate([each.finished for each in outcomes]).astype(int), minlength=7)
    print(f"{kills} kills in {len(outcomes)} runs, {len(outcomes) - wrong} ended identical, {wrong} did not")
    values = {
        "rows": arguments.rows,
        "options": OPTIONS,
        "undisturbed_seconds": round(reference.seconds, 1),
        "seconds_after_the_start": round(reference.work, 1),
        "kills": kills,
        "kills_by_stored_iterations": by_iteration.tolist(),
        "runs": [vars(each) for each in outcomes],
        "runs_that_differ": wrong,
    }
    (ROOT / "benchmarks" / "results" / "kill_resume.json").write_text(json.dumps(values, indent=2) + "\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
