"""What lies beside an annotated table goes along with its copy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from pieces import in_pieces
from silr.io.annotator_records import read_records, write_records
from silr.io.beside import carry
from silr.io.feature_rows import has_record, write_record


def test_record_and_hidden_states_are_carried_and_other_features_stay(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": ["a", "b"]})
    table, copy, other = (in_pieces(frame, tmp_path / name, [1]) for name in ("table", "copy", "other"))
    carry(table, copy)  # nothing to carry
    assert read_records(copy) == {}
    records = {"": {"kind": "local"}, "b": {"kind": "local"}}
    write_records(table, records)
    for number, name in enumerate(("table.features.npy", "table.b.features.npy")):
        np.save(tmp_path / name, np.full((2, 3), number))
        write_record(tmp_path / name, ["a", "b"])
    for _ in range(2):
        carry(table, copy)
        assert read_records(copy) == records
        for number, name in enumerate(("copy.features.npy", "copy.b.features.npy")):
            np.testing.assert_array_equal(np.load(tmp_path / name), np.full((2, 3), number))
            assert has_record(tmp_path / name)
    carry(table, in_pieces(frame, tmp_path / "third", [1]), without="")
    assert list(read_records(tmp_path / "third")) == ["b"] and not (tmp_path / "third.features.npy").exists()
    np.save(tmp_path / "other.features.npy", np.zeros((2, 9)))
    carry(table, other)
    assert np.load(tmp_path / "other.features.npy").shape == (2, 9) and read_records(other) == {}
