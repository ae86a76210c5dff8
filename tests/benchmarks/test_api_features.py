"""The benchmark of features behind an API: what it adds to TF-IDF, on whose draws, and how it resumes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import api_features
from api_features import ALONE, LLM, report
from static_minilm import distil
from tests.benchmarks.test_cases import RIGHT, write_strong


def test_gains_are_paired_by_draw() -> None:
    """A case without all kinds, or a draw that TF-IDF alone lacks, counts for nothing."""
    alone, llm = {"0": 0.5, "1": 0.7}, {"0": 0.4, "1": 0.6}
    cells = {
        "a.x": {LLM: llm, ALONE: alone, "static": {"0": 0.52, "1": 0.74, "2": 0.0}},
        "b.y": {LLM: llm, ALONE: alone, "static": {"0": 0.48, "1": 0.68}},
        "c.z": {LLM: llm, ALONE: alone},
    }
    lines = list(report(cells, ["static"], 3))
    assert lines[0].startswith("2 of 3 cases, 2 or 3 draws")
    assert "| (the LLM's labels) | 0.500 | -10.0 ± 0.0 | 0 | 2 |" in lines
    assert "| TF-IDF alone | 0.600 | | | |" in lines
    assert "| a x | 0.500 | 0.600 | +3.0 ± 1.0 |" in lines and "| b y | 0.500 | 0.600 | -2.0 ± 0.0 |" in lines
    assert next(line for line in lines if line.startswith("| static and TF-IDF")).endswith("| +0.5 ± 0.5 | 1 | 1 |")
    assert list(report({"c.z": cells["c.z"]}, ["static"], 3)) == []


@pytest.mark.slow
def test_end_to_end(tmp_path: Path, static_model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What compare.py has is not computed again, and neither is what was computed before."""
    from model2vec import StaticModel

    write_strong(tmp_path, n=160)
    monkeypatch.setattr(api_features, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(api_features, "COMPARED", tmp_path)
    monkeypatch.setattr(api_features, "static_model", lambda folder: StaticModel.from_pretrained(static_model))
    said: list[str] = []
    monkeypatch.setattr(api_features, "put_into_document", lambda mark, lines: said.extend(lines))
    cells = {"100": {"silr": {"0": {"corpus": {"accuracy": 0.125}}}}}
    (tmp_path / "talk.good.tfidf.json").write_text(json.dumps({"cells": cells}))
    options = [str(tmp_path / "strong"), "--kinds", "static", "--draws", "1", "--cache", str(tmp_path / "cache")]
    monkeypatch.setattr(sys, "argv", ["api_features.py", *options, "--jobs", "1"])
    api_features.main()
    found = json.loads((tmp_path / "results.json").read_text())
    assert found.keys() == {f"talk.{name}" for name in RIGHT}
    assert found["talk.good"][ALONE] == {"0": 0.125} and found["talk.good"]["static"]["0"] > 0.6
    assert said[0] == "2 of 2 cases, 1 draws of gold labels. Means over the cases:"
    monkeypatch.setattr(api_features, "one_draw", None)  # nothing is left to compute
    api_features.main()


@pytest.mark.slow
def test_static_embeddings_of_an_encoder(minilm: str, tmp_path: Path) -> None:
    from model2vec import StaticModel

    distil(Path(minilm), tmp_path, 3000)
    model = StaticModel.from_pretrained(tmp_path)
    near, far, same = model.encode(["the king", "the percent", "the king"])
    queen = model.encode(["the queen"])[0]
    assert model.dim == 256 and (near == same).all()
    assert np.dot(near, queen) > np.dot(far, queen) + 0.1
