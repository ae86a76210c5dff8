"""Jobs as data: JSON says what makes a worker, and only silr's own factories are made by their names."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from silr.errors import InputError
from silr.io.factories import Factory
from silr.io.pieces import Piece
from silr.io.ray_workers import Job
from silr.refine.predict_pieces import PieceWorker


def job(**settings: Any) -> Job:
    piece = Piece(Path("/texts/year=2024/a.parquet"), "year=2024/a.parquet", 10, 5, "ab12", {"year": 2024, "of": None})
    make: Factory[Any] = Factory.of(PieceWorker, **settings)
    return Job(make, [(piece, Path("/out/year=2024/a.parquet"))], Path("/out"), Path("/home"), "1.0", True)


def test_a_job_is_json() -> None:
    settings = {"run": "a run\n\udc80", "settings": {"scores": True, "text": None}, "total": 15}
    line = job(**settings, features=Path("f.npy")).to_json()
    assert "\n" not in line
    values = json.loads(line)
    assert values["make"] == ["silr.refine.predict_pieces:PieceWorker", {**settings, "features": "f.npy"}]
    assert Job.from_json(line.encode()) == job(**settings, features="f.npy")
    with pytest.raises(InputError, match=r"--engine ray takes settings as data: a function is no value of JSON"):
        job(features=lambda: None).to_json()


@pytest.mark.parametrize(
    "name",
    [
        "os:system",
        "silr.io.files:make_folder",
        "silr.nowhere:Worker",
        "silr:refine",
        "silr..x:y",
        "silr_x.y:Z",
        "silr.__main__:main",
    ],
)
def test_other_names_are_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "system", pytest.fail)
    with pytest.raises(InputError, match=f"'{name}' is no factory of silr: name a class or function"):
        Factory[Any](name, {"command": "true"})()
