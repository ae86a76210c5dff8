"""The result of a run as a table: ``labels.csv``, or of a table in pieces ``labels/`` with as many pieces."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from silr.io.pieced_table import Frame, PiecedTable, write_changed

if TYPE_CHECKING:
    import pandas as pd

    from silr.refine.fitted import FittedRefiner

REFINED_LABEL, REFINED_SCORE = "refined_label", "refined_score"
OUT_OF_FOLD_LABEL, OUT_OF_FOLD_SCORE = "out_of_fold_label", "out_of_fold_score"
LABELS, LABELS_IN_PIECES = "labels.csv", "labels"  # in the run's folder


def labels_path(run: Path) -> Path:
    """Where the result of a run lies; `open_table` reads it."""
    folder = run / LABELS_IN_PIECES
    return folder if folder.is_dir() else run / LABELS


def write_labels(frame: Frame, refiner: FittedRefiner, run: Path) -> None:
    """Write the table with the refined labels, in the place of what an earlier call wrote."""
    folder, file = run / LABELS_IN_PIECES, run / LABELS
    in_pieces = isinstance(frame, PiecedTable)
    write_changed(frame, folder if in_pieces else file, partial(_add_refined, refiner))
    if in_pieces:
        file.unlink(missing_ok=True)
    else:
        shutil.rmtree(folder, ignore_errors=True)


def _add_refined(refiner: FittedRefiner, frame: pd.DataFrame, rows: slice) -> None:
    """The labels and the probability of each; a label by hand is taken as true."""
    codes, unseen = refiner.codes_[rows], refiner.out_of_fold_codes_[rows]
    places = np.arange(len(codes))
    score, unseen_score = refiner.scores_[rows][places, codes], refiner.out_of_fold_scores_[rows][places, unseen]
    rounded = np.array([float(f"{value:.4g}") for value in unseen_score.tolist()])
    by_hand = score != unseen_score
    frame[REFINED_LABEL] = refiner.classes_[codes]
    frame[REFINED_SCORE] = np.where(by_hand, score, rounded)  # of a label by hand it is 1
    frame[OUT_OF_FOLD_LABEL] = refiner.classes_[unseen]
    frame[OUT_OF_FOLD_SCORE] = rounded
