"""The example of docs/estimate.md: what `silr estimate` says of the demo's run, beside the truth.

    silr demo
    python benchmarks/estimate_example.py silr-demo

The reviews are cut into short and long ones at their median number of words. Prints the estimates by length as the
command does, and the true shares and the true quality of the labels, which nothing else reads. Writes
results/estimate_example.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from silr.estimates.estimate import estimate_evidence
from silr.estimates.evidence import of_record
from silr.estimates.show import print_estimates
from silr.refine.record import read_record

RESULTS = Path(__file__).parent / "results" / "estimate_example.json"


def main() -> None:
    record = read_record(Path(sys.argv[1]) / "run")
    assert record.corpus is not None and record.corpus.frame is not None
    frame = record.corpus.frame
    words = frame["text"].str.split().str.len()
    frame["length"] = np.where(words > words.median(), "long", "short")
    result = estimate_evidence(of_record(record), ["length"])
    print_estimates(result)
    positive = frame["truth"] == "positive"
    truth = {
        "share": float(positive.mean()),
        **positive.groupby(frame["length"]).mean().to_dict(),
        "LLM right": float((frame["llm_label"] == frame["truth"]).mean()),
        "refined right": float((frame["out_of_fold_label"] == frame["truth"]).mean()),
    }
    print("\nTruth:", {name: round(value, 3) for name, value in truth.items()})
    RESULTS.write_text(json.dumps({"truth": truth, **result.to_dict()}, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
