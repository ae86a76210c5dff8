"""A run or an exported folder as a reward or a judge."""

from __future__ import annotations

from pathlib import Path

from silr.align.scorer import Scorer
from silr.errors import InputError
from silr.export.frozen import PIPELINE
from silr.refine.run import MANIFEST


def load_scorer(path: str | Path, wanted: str | None, device: str | None, role: str = "--reward") -> Scorer:
    """Load a run directory, or a folder that `silr export` wrote.

    No `wanted` is enough for a reward model that has one score. `role` is its name in messages.

    Raises InputError if it is neither, it has no such class, it cannot read new texts, or a package is missing.
    """
    folder = Path(path).expanduser().resolve()
    if (folder / MANIFEST).is_file():
        from silr.align.run_scorer import run_scorer

        return run_scorer(folder, wanted, device, role)
    if (folder / PIPELINE).is_file() or (folder / "config.json").is_file():
        from silr.align.folder_scorer import folder_scorer

        return folder_scorer(folder, wanted, device, role)
    raise InputError(f"{role} {folder} is neither a run of `silr refine` nor a folder of `silr export`")
