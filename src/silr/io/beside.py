"""What lies beside an annotated table goes along where the table is written elsewhere: its record and hidden states."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from silr.io.annotator_records import named_features_path, read_records, write_records
from silr.io.corpus import features_path
from silr.io.feature_rows import record_path
from silr.io.files import os_errors


def carry(table: Path, output: Path, without: str | None = None) -> None:
    """Put the records of a table's LLMs and their hidden states beside `output`, which has the same rows.

    The LLM with the name `without` is left out. Hidden states are one file under two names where the disk can do that.
    Other features that lie beside `output` stay. Then nothing is carried, as they would be taken for those of a record.
    """
    records = {name: record for name, record in read_records(table).items() if name != without}
    names = [name for name in {"": None, **records} if name != without]
    paths = [[named_features_path(features_path(each), name) for each in (table, output)] for name in names]
    states = [(old, new) for old, new in paths if old.exists()]
    if any(new.exists() and not _is_copy(old, new) for old, new in states):
        return
    for old, new in states:
        for source, target in ((old, new), (record_path(old), record_path(new))):
            if source.exists() and not target.exists():
                _link(source, target)
    if records:
        write_records(output, {**read_records(output), **records})


def _is_copy(one: Path, other: Path) -> bool:
    first, second = one.stat(), other.stat()
    return (first.st_size, first.st_mtime_ns) == (second.st_size, second.st_mtime_ns)


def _link(source: Path, target: Path) -> None:
    draft = target.with_name(f".{target.name}.tmp")
    with os_errors(f"cannot write {target}"):
        draft.unlink(missing_ok=True)
        try:
            os.link(source, draft)
        except OSError:  # another disk, or one without links
            shutil.copy2(source, draft)
        draft.replace(target)
