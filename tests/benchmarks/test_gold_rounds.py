"""benchmarks/gold_rounds.py on a small table, from end to end."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gold_rounds.py"


@pytest.fixture
def folder(tmp_path):
    """160 texts whose words tell the class, and two LLMs, one of which leaves texts without a label."""
    rng = np.random.default_rng(0)
    truth = rng.random(160) < 0.4
    words = {True: ["good", "fine", "great", "love"], False: ["bad", "poor", "awful", "hate"]}
    texts = [" ".join([*rng.choice(words[bool(t)], 2), *rng.choice(["it", "was", "and", "so"], 5)]) for t in truth]
    name = np.array(["negative", "positive"], dtype=object)
    one = name[np.where(rng.random(160) < 0.75, truth, ~truth).astype(int)]
    two = np.where(np.arange(160) % 40 == 0, None, one)
    frame = pd.DataFrame({"text": texts, "truth": name[truth.astype(int)], "llm_label_a": one, "llm_label_b": two})
    (tmp_path / "tables").mkdir()
    frame.to_csv(tmp_path / "tables" / "small.csv.gz", index=False)
    return tmp_path


def test_the_comparison_and_that_it_goes_on(folder, commands):
    out = folder / "rounds.json"

    def run(*options):
        done = commands(folder / "tables", "--out", out, *options, script=SCRIPT)
        assert done.code == 0, done
        return done.out

    said = run("--quick")
    assert said.count("small_a by_strata=") == said.count("small_b by_strata=") == 2
    result = json.loads(out.read_text())
    assert len(result["records"]) == 4
    for record in result["records"]:
        assert 0.8 < record["accuracy"] <= 1 and 0.6 < record["llm_accuracy"] < 0.9
        assert record["effective_size"] <= 100 + 1e-9
        for which in ("llm kish", "llm difference", "refined kish", "refined difference"):
            assert 0 <= record[which]["width"] < 0.3 and abs(record[which]["error"]) < 0.2
    (rounds,) = (value for name, value in result["summary"].items() if "by_strata=0.5" in name)
    assert rounds["pairs"] == 2 and set(rounds["gain_by_case"]) == {"small_a", "small_b"}
    again = run("--quick")
    assert "small_a by_strata=" not in again and json.loads(out.read_text()) == result
