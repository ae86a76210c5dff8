"""The benchmark of an LLM's own critique, with the real LLM on a handful of texts."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

import self_refinement
from command_line import Commands

pytestmark = pytest.mark.slow

PRAISE = ["A wonderful film, I loved every minute.", "Great acting and a moving story.", "Brilliant and funny."]
BLAME = ["A terrible film, I hated every minute.", "Awful acting and a dull story.", "Boring and stupid."]


def test_both_strategies_label_the_same_texts(
    tmp_path: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(command: list[str], check: bool) -> None:
        assert command[1:3] == ["-m", "silr"] and check
        assert commands(*command[3:]).code == 0  # in a process that need not import everything

    table = pd.DataFrame({"text": PRAISE + BLAME, "truth": ["positive"] * 3 + ["negative"] * 3})
    table.to_csv(tmp_path / "movie.csv.gz", index=False)
    monkeypatch.setattr(self_refinement, "subprocess", SimpleNamespace(run=run))
    monkeypatch.setattr(self_refinement, "RESULTS", tmp_path / "results.json")
    given = [str(tmp_path), "--tables", "movie", "--texts", "2", "--work", str(tmp_path / "work")]
    monkeypatch.setattr("sys.argv", ["self_refinement.py", *given])
    self_refinement.main()
    row = json.loads((tmp_path / "results.json").read_text())["tables"]["movie"]
    direct, refined = (pd.read_csv(tmp_path / "work" / f"movie-{each}.csv") for each in ("direct", "self-refine"))
    assert (direct["text"] == refined["text"]).all() and len(direct) == row["texts"] == 2
    for labelled, said in ((direct, row["direct"]), (refined, row["self-refine"])):
        assert said["accuracy"] == pytest.approx((labelled["llm_label"] == labelled["truth"]).mean())
        assert said["said"] == pytest.approx((labelled["llm_label"] == "positive").mean())
    assert "| movie | positive, " in capsys.readouterr().out
