"""The API annotator against a server that fails on 40 % of the requests and more, and under `kill -9`.

Faults come one by one and, a fifth of the time, in bursts of a second: 429 with and without a wait, 503, 500, an error
in the place of an answer, no choices, cut JSON, a cut body, a closed connection. Checked of every text: it has the
right label, or counts as missing with its reason; no text was answered twice. Then the annotation is killed with
SIGKILL at random moments and run again until it ends: checked is that no answer that was kept is asked for again. The
server counts.

    python benchmarks/api_faults.py
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from api_server import api_server, record_of

RESULT = Path(__file__).parent / "results" / "api_faults.json"
SHARE = 0.4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--texts", type=int, default=20, help="for each request at a time: 100 at least, 1,000 at most")
    parser.add_argument("--kills", type=int, default=5, help="of each annotation that is killed")
    parser.add_argument("--output", default=RESULT, help=f"where the results go (default {RESULT.name})")
    options = parser.parse_args()
    faulty = [
        annotate_at(n, min(1000, options.texts * max(n, 5)), seed)
        for n in options.concurrency
        for seed in options.seeds
    ]
    killed = [kill(n, 1000, seed, options.kills) for n in options.concurrency if n > 1 for seed in options.seeds]
    result = {"share_of_faults": SHARE, "faulty": faulty, "killed": killed}
    Path(options.output).write_text(json.dumps(result, indent=2) + "\n")


def annotate_at(concurrency: int, n: int, seed: int) -> dict[str, Any]:
    """Annotate once, and compare every row with what the server knows."""
    with tempfile.TemporaryDirectory() as name, api_server(10, SHARE, seed) as url:
        texts, began = write_table(Path(name), n), time.perf_counter()
        done = json.loads(subprocess.run(command(Path(name), url, concurrency), stdout=-1, check=True).stdout)
        seconds, record = time.perf_counter() - began, record_of(url)
        wrong, reasons = check(Path(name), texts)
        twice = sum(count > 1 for count in record["answered"].values())
    assert not wrong and not twice and sum(reasons.values()) == done["missing"], (wrong, twice, reasons)
    assert len(record["answered"]) == n - done["missing"] and record["requests"] == done["requests"]
    values = {"concurrency": concurrency, "texts": n, "seed": seed, "seconds": round(seconds, 1)}
    values |= {"requests": record["requests"], "faults": sum(record["faults"].values()), "missing": reasons}
    print(json.dumps(values), flush=True)
    return {**values, "wrong_labels": wrong, "answered_twice": twice}


def kill(concurrency: int, n: int, seed: int, kills: int) -> dict[str, Any]:
    """Kill an annotation at random moments, and run it again until it ends."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name, api_server(50, 0.0, seed) as url:
        texts, lost = write_table(Path(name), n), 0
        for _ in range(kills):
            before = record_of(url)["requests"]
            with subprocess.Popen(command(Path(name), url, concurrency), stdout=subprocess.DEVNULL) as process:
                while record_of(url)["requests"] == before and process.poll() is None:
                    time.sleep(0.01)
                time.sleep(rng.random() * n / concurrency * 0.05 / kills)
                process.kill()
            time.sleep(0.2)  # the answers under way get nowhere
        subprocess.run(command(Path(name), url, concurrency), stdout=subprocess.DEVNULL, check=True)
        record, (wrong, reasons) = record_of(url), check(Path(name), texts)
        lost = record["requests"] - n
    assert not wrong and not reasons and lost <= kills * 2 * concurrency, (wrong, reasons, lost)  # see docs/servers.md
    values = {"concurrency": concurrency, "texts": n, "seed": seed, "kills": kills}
    values |= {"asked_again": lost, "under_way_at_most": kills * concurrency}
    print(json.dumps(values), flush=True)
    return values


def write_table(folder: Path, n: int) -> list[str]:
    import pandas as pd

    texts = [f"a {'good' if row % 3 else 'bad'} thing, number {row}" for row in range(n)]
    pd.DataFrame({"text": texts}).to_csv(folder / "texts.csv", index=False)
    return texts


def check(folder: Path, texts: list[str]) -> tuple[int, dict[str, int]]:
    """Count labels that are wrong, and texts without label by reason."""
    import pandas as pd

    table = pd.read_csv(folder / "out.csv", keep_default_na=False)
    assert table["text"].tolist() == texts
    right = ["positive" if "good" in text else "negative" for text in texts]
    wrong = sum(label not in ("", expected) for label, expected in zip(table["llm_label"], right, strict=True))
    reasons: dict[str, int] = {}
    if "llm_missing" in table:
        without = table.loc[table["llm_label"] == "", "llm_missing"]
        assert (without != "").all()
        reasons = without.value_counts().to_dict()
    return wrong, reasons


def command(folder: Path, url: str, concurrency: int) -> list[str]:
    os.environ.setdefault("OPENAI_API_KEY", "none")
    arguments = ["annotate", folder / "texts.csv", "-o", folder / "out.csv", "--classes", "negative,positive"]
    arguments += ["--base-url", url, "--model", "a-model", "--cache", folder / "answers.sqlite"]
    return list(map(str, [sys.executable, "-m", "silr", *arguments, "--concurrency", concurrency, "--json"]))


if __name__ == "__main__":
    main()
