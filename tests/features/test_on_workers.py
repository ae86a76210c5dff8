"""Features of a table in pieces by workers: what an interrupted call has finished is not computed again."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from command_line import Commands
from pieces import in_pieces
from silr.features.in_parts import write_features
from silr.features.on_workers import features_by_workers
from silr.features.tfidf import TfidfFeatures
from silr.io.corpus import open_table, text_column
from silr.io.engines import make_pieces

TEXTS = [f"text number {row} of {row % 7} and {row % 5}" for row in range(60)]


def test_finished_pieces_are_not_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = in_pieces(pd.DataFrame({"text": TEXTS}), tmp_path / "texts", [20, 20, 40])  # one has no rows
    texts: Any = text_column(open_table(table), "text", table)
    write_features(TfidfFeatures(), texts, tmp_path / "here" / "features.npy")
    seen: list[int] = []

    transform = TfidfFeatures.transform

    def counted(self: TfidfFeatures, texts: Any) -> Any:
        if seen == [20]:
            seen.append(0)
            raise KeyboardInterrupt
        seen.append(len(texts))
        return transform(self, texts)

    monkeypatch.setattr(TfidfFeatures, "transform", counted)
    path = tmp_path / "there" / "features.npy"
    workers = partial(features_by_workers, make_pieces=partial(make_pieces, engine="local"))
    with pytest.raises(KeyboardInterrupt):
        write_features(TfidfFeatures(), texts, path, workers)
    assert (path.parent / "pieces" / "part-0.parquet").exists() and not path.exists()
    write_features(TfidfFeatures(), texts, path, workers)
    assert seen == [20, 0, 20, 20]
    np.testing.assert_array_equal(np.load(path), np.load(tmp_path / "here" / "features.npy"))
    assert not (path.parent / "pieces").exists()


def test_what_an_engine_has_no_use_for(tmp_path: Path, commands: Commands) -> None:
    frame = pd.DataFrame({"text": TEXTS, "llm_label": ["no", "yes"] * 30})
    frame.to_csv(tmp_path / "one.csv", index=False)
    in_pieces(frame, tmp_path / "texts", [30])
    for table, options, said in (
        ("one.csv", (), "--engine ray shares out the pieces of a table"),
        ("texts", ("--classifier", "lora", "--model", "none"), "fine-tune on many machines by accelerate launch"),
        ("texts", ("--device", "cpu"), "--engine ray gives each worker its device"),
    ):
        done = commands("refine", table, *options, "--engine", "ray", "-o", "run", cwd=tmp_path)
        assert (done.code, done.err.count("\n")) == (2, 1) and said in done.err
        assert not (tmp_path / "run").exists()
