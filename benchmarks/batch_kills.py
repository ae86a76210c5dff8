"""Kill `silr annotate --batch` at random moments and check that every text is labelled, and paid for, once.

A server on this machine behaves as OpenAI documents its Batch API. It counts every request that it is sent in a batch.
The command is killed with SIGKILL at random moments and started again, so many times, and then ends. Some answers are
unclear and asked for again, so that there are several rounds. Run from anywhere: `python benchmarks/batch_kills.py`.
"""

import argparse
import json
import logging
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "annotators" / "api"))
os.environ["OMP_NUM_THREADS"] = "1"

from killing_batches import N_TEXTS, command, killed  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--longest", type=float, default=1.0, help="seconds from a session's first call to its kill")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with tempfile.TemporaryDirectory() as folder:
        runs = killed(Path(folder), command, options.kills, options.seed, options.longest)
    values = {
        "texts": N_TEXTS,
        "kills": sum(len(run.killed) for run in runs),
        "annotations": len(runs),
        "calls_and_batches_at_each_kill": [run.killed for run in runs],
        "single_requests": [run.online for run in runs],
        "texts_with_a_wrong_label_or_none": sum(run.wrong for run in runs),
        "requests_sent_in_two_batches": sum(run.sent_twice for run in runs),
    }
    print(runs[-1].said)
    print(json.dumps(values))
    (ROOT / "benchmarks" / "results" / "batch_kills.json").write_text(json.dumps(values, indent=2) + "\n")
    sys.exit(any(run.wrong or run.sent_twice or run.left for run in runs))


if __name__ == "__main__":
    main()
