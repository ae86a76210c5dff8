"""What the LLM said beside its labels, on the page."""

from pathlib import Path

import pandas as pd
import pytest

from command_line import Commands
from silr.io.said import said_lines
from synthetic import make_corpus


def test_lines() -> None:
    frame = pd.DataFrame({"llm_label": ["a", "b", "a", "b"], "llm_confidence": ["0.85", "", "1.0", "high"]})
    assert said_lines(frame, ["llm_label"]) == ["85% sure", "", "100% sure", ""]
    frame["llm_reason"] = ["It\npraises.", "x" * 400, None, "why"]
    lines = said_lines(frame, ["llm_label"])
    assert lines is not None and lines[0] == "85% sure: It praises." and lines[2:] == ["100% sure", "why"]
    assert len(lines[1]) == 300
    named = frame.rename(columns=lambda name: f"{name}_gpt")
    assert said_lines(named, ["llm_label_gpt"]) == lines
    assert said_lines(frame, ["llm_label", "llm_label_gpt"]) is None
    assert said_lines(frame[["llm_label"]], ["llm_label"]) is None
    assert said_lines(frame, ["verdict"]) is None


@pytest.mark.slow
def test_the_report_shows_confidence_and_reason(commands: Commands, tmp_path: Path) -> None:
    corpus = make_corpus(200, n_gold=60, seed=2)
    frame = pd.read_csv(corpus.write(tmp_path, "in.csv"), keep_default_na=False)
    frame = frame.drop(columns=[name for name in frame.columns if name.startswith("llm_score")])
    frame["llm_confidence"] = 0.75
    frame["llm_reason"] = "<b>It says so.</b>"
    frame.to_csv(tmp_path / "in.csv", index=False)
    done = commands("refine", tmp_path / "in.csv", "-o", tmp_path / "run", "--features", "tfidf")
    assert done.code == 0, done.err
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "LLM: 75% sure: &lt;b&gt;It says so.&lt;/b&gt;" in page
