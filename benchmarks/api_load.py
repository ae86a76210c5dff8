"""Throughput and memory of the API annotator against a local server that answers in 50 ms.

The ideal is `texts / concurrency * 0.05` seconds: all requests are always under way, and the client costs nothing.
Server and client are processes of their own and share the machine; the processor time of each is reported beside the
ratio to the ideal. Memory is the peak of the client, at the smaller and at the larger number of texts.

    python benchmarks/api_load.py
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from api_server import api_server, record_of

RESULT = Path(__file__).parent / "results" / "api_load.json"
MILLISECONDS = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, nargs="+", default=[10_000, 50_000])
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--output", default=RESULT, help=f"where the results go (default {RESULT.name})")
    parser.add_argument("--client", nargs=4, help=argparse.SUPPRESS)  # the process that annotates
    options = parser.parse_args()
    if options.client:
        annotate_in_this_process(*options.client)
        return
    runs = [measure(n, options.concurrency) for n in options.texts]
    result = {"milliseconds": MILLISECONDS, "concurrency": options.concurrency, "cores": os.cpu_count(), "runs": runs}
    Path(options.output).write_text(json.dumps(result, indent=2) + "\n")


def measure(n: int, concurrency: int) -> dict[str, Any]:
    """Annotate so many texts in a process of its own."""
    import pandas as pd

    with tempfile.TemporaryDirectory() as name, api_server(MILLISECONDS) as url:
        texts = [f"a {'good' if row % 3 else 'bad'} thing of some forty letters, number {row}" for row in range(n)]
        pd.DataFrame({"text": texts}).to_csv(Path(name) / "texts.csv", index=False)
        command = [sys.executable, __file__, "--client", url, str(Path(name) / "texts.csv"), name, str(concurrency)]
        load, began = os.getloadavg()[0], record_of(url)["processor_seconds"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        record = record_of(url)
        assert len(record["answered"]) == record["requests"] == n
    values: dict[str, Any] = json.loads(done.stdout)
    ideal = n / concurrency * MILLISECONDS / 1000
    server = (record["processor_seconds"] - began) / n * 1000
    values |= {"ideal_seconds": ideal, "share_of_the_ideal_rate": round(ideal / values["seconds"], 3)}
    values |= {"server_milliseconds_a_request": round(server, 3), "load_average": round(load, 2)}
    print(json.dumps(values), flush=True)
    return {"texts": n, **values}


def annotate_in_this_process(url: str, table: str, folder: str, concurrency: str) -> None:
    os.environ.setdefault("OPENAI_API_KEY", "none")
    from silr.annotators.api.annotator import ApiAnnotator
    from silr.annotators.api.cache import AnswerCache
    from silr.annotators.api.client import ChatClient
    from silr.annotators.table import annotate_file

    client = ChatClient("a-model", AnswerCache(Path(folder) / "answers.sqlite"), base_url=url)
    annotator = ApiAnnotator(client, ["negative", "positive"], concurrency=int(concurrency))
    before, worked, began = peak(), time.process_time(), time.perf_counter()
    done = annotate_file(table, Path(folder) / "out.csv", annotator, quiet=True)
    seconds, worked = time.perf_counter() - began, time.process_time() - worked
    assert not done.n_missing and client.cost.requests == done.texts.total
    values = {"seconds": round(seconds, 2), "client_milliseconds_a_request": round(worked / done.texts.total * 1e3, 3)}
    print(json.dumps({**values, "megabytes_before": round(before), "peak_megabytes": round(peak())}))


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
