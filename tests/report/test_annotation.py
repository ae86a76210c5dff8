"""What the page says of the LLM: the record of the annotation, if it is of these labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from reporting import Page

from silr.refine.table import refine_table
from silr.report.write import write_report
from synthetic import make_corpus

pytestmark = pytest.mark.slow

RECORD: dict[str, Any] = {
    "kind": "api",
    "model": "gpt-5-mini",
    "server": "https://api.openai.com/v1",
    "prompt": "Judge <b>{text}</b>",
    "parameters": {"logprobs": True, "reasoning_effort": "minimal"},
    "left_out": ["temperature"],
    "snapshots": [{"model": "gpt-5-mini-2025-08-07", "system_fingerprint": "fp_1", "answers": 120}],
    "requests": {"first": "2026-11-28T23:59:00Z", "last": "2026-11-29T00:10:00Z"},
}


@pytest.mark.filterwarnings("ignore:there are no gold labels")
def test_the_page_says_who_gave_the_labels(tmp_path: Path) -> None:
    corpus = make_corpus(120, n_gold=30, seed=3)
    table = corpus.write(tmp_path)
    counts = corpus.table()["llm_label"].value_counts().to_dict()
    run = tmp_path / "run"
    refine_table(table, run, features="tfidf", device="cpu")
    beside = table.with_name(f"{table.stem}.annotator.json")

    def said(record: Any) -> tuple[str, str]:
        beside.write_text(record if isinstance(record, str) else json.dumps(record))
        page = Page(write_report(run))
        return page.by_id["again"], page.source

    again, source = said({**RECORD, "counts": {"labels": counts}})
    sentence = "those of gpt-5-mini (answered by gpt-5-mini-2025-08-07 (fp_1)) at https://api.openai.com/v1, 2026-11-28"
    assert sentence in source and "to 2026-11-29." in source
    for words in ("gpt-5-mini-2025-08-07 (fp_1): 120 answers", "2026-11-28T23:59:00Z to", "reasoning_effort"):
        assert words in again
    assert "not taken by the server" in again and "<b>" not in source.partition("Judge")[2][:20]
    two = [*RECORD["snapshots"], {"model": "gpt-5-mini-2026-01-01", "answers": 3}]
    assert "of which 2 snapshots answered" in said({**RECORD, "snapshots": two, "counts": {"labels": counts}})[1]
    fewer = dict.fromkeys(counts, 1)  # of other labels
    for other in (
        "{",
        {"counts": {"labels": counts}},
        {**RECORD, "counts": {"labels": fewer}},
        {**RECORD, "counts": 3},
    ):
        assert "gpt-5-mini" not in said(other)[1]
