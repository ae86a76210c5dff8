"""Checkpoints of an unfinished training."""

import json
from pathlib import Path


def last_checkpoint(folder: Path) -> Path | None:
    """The latest whole checkpoint in a folder: its state is written last, so one that a kill cut off has none."""
    checkpoints = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    for path in checkpoints:
        try:
            state = json.loads((path / "trainer_state.json").read_text())
        except (OSError, ValueError):
            continue
        best = state["best_model_checkpoint"]
        if best is None or Path(best).is_dir():
            return path
    return None
