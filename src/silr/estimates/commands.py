"""The command that adds gold labels to a table."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from silr.io.corpus import LABEL
from silr.io.hub_tables import address_of
from silr.refine.table import Columns


def label_command(
    table: Path,
    gold: str = Columns.gold,
    labels: Sequence[str] = (),
    text: str = Columns.text,
    inside: Path | None = None,
    **_: object,
) -> str | None:
    """``silr label TABLE``, with the names of its columns where they are others; None if it cannot label the table.

    `inside`: the folder from which the path of the table goes; None: the current one.
    """
    path = (inside or Path()).joinpath(table)
    if gold != Columns.gold or not path.exists() or address_of(path):  # one of the hub needs another output
        return None
    words = ["silr", "label", os.path.normpath(table)]
    words += ["-o", f"{os.path.normpath(table)}-labelled"] if path.is_dir() else []  # pieces stay as they are
    words += ["--text-column", text] if text != Columns.text else []
    words += ["--label-column", labels[0]] if len(labels) == 1 and labels[0] != LABEL else []
    return shlex.join(words)
