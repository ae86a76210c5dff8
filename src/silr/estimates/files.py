"""Estimates as CSV files, a table each, for any program."""

from __future__ import annotations

from pathlib import Path

from silr.estimates.result import Estimates
from silr.io.files import make_folder
from silr.io.tables import write_table


def write_csv(result: Estimates, folder: str | Path) -> list[Path]:
    """Write ``shares.csv``, ``differences.csv`` and ``quality.csv`` into a folder, which is made if need be.

    They have the columns of `Row`, numbers from 0 to 1 and no rounding; a table without rows is not written. A
    regression is in ``regression.csv``. Returns the paths.

    Raises InputError if a file cannot be written.
    """
    import pandas as pd

    folder = Path(folder)
    make_folder(folder)
    paths = []
    for name, rows in result.tables.items():
        if rows:
            paths.append(folder / f"{name}.csv")
            write_table(pd.DataFrame([vars(row) for row in rows]), paths[-1])
    if result.regression is not None:
        paths.append(folder / "regression.csv")
        write_table(result.regression.to_frame(), paths[-1])
    return paths
