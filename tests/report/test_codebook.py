"""A codebook in a run and on its page; and a class that a person gave and no LLM did."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from silr.refine.table import refine_table
from silr.report.write import write_report

BOOK = {
    "question": "Is this review good?",
    "classes": [
        {"name": "good", "definition": "Praise <b>loud</b>.", "examples": ["I love it."]},
        {"name": "bad", "in": ["returned goods", "refunds"]},
        {"name": "neither", "none": True},
    ],
}


@pytest.mark.slow
def test_refine_knows_the_codebook(tmp_path: Path) -> None:
    """A class that a person gave and no LLM did; and a gold text that the LLM has read with its label."""
    texts = [f"{('lovely', 'awful', 'odd')[n % 3]} thing {n}" for n in range(90)]
    frame = pd.DataFrame({"text": texts, "llm_label": [("good", "bad", "bad")[n % 3] for n in range(90)]})
    frame["gold"] = [("good", "bad", "neither")[n % 3] if n < 45 else None for n in range(90)]
    frame.loc[3, "text"] = "i love  it."
    frame.to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "t.annotator.json").write_text(json.dumps({"codebook": BOOK}))
    said: list[str] = []
    with pytest.warns(UserWarning, match=r"t.csv, row 4: this text has a gold label and is an example"):
        refiner = refine_table(tmp_path / "t.csv", tmp_path / "run", features="tfidf", say=said.append)
    assert sorted(refiner.classes_) == ["bad", "good", "neither"]
    assert any("classes: those of the codebook, 'good', 'bad', 'neither'" in line for line in said)
    kept = json.loads((tmp_path / "run" / "table.json").read_text())
    page = write_report(tmp_path / "run").read_text()
    assert "<details><summary>What the LLM read about the classes" in page and "A gold text is an example." in page
    assert "Praise &lt;b&gt;loud&lt;/b&gt;." in page and "<b>loud" not in page
    assert kept["codebook"] == BOOK and kept["classes"] == ["bad", "good", "neither"]
