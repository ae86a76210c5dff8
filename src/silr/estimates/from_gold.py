"""Columns of a table that come from its gold labels. Neither groups nor regressions may be made of them."""

from __future__ import annotations

from collections.abc import Sequence

from silr.io.pieced_table import Frame
from silr.io.votes import ADJUDICATED, VOTE
from silr.refine.labels import REFINED_LABEL, REFINED_SCORE

DSL = "dsl_"  # begins the name of a column of `silr estimate --dsl`
DRAWN = ("gold_weight", "gold_draw", "gold_probability")  # how a gold label was drawn


def from_gold(frame: Frame, name: str, gold_column: str, class_names: Sequence[str]) -> str | None:
    """Why a column of a table must not be used, to be put after its name; None: it may."""
    if name == gold_column:
        return "is what is estimated"
    if name in (REFINED_LABEL, REFINED_SCORE):
        return "has the gold labels inside, so numbers by it are biased (out_of_fold_label is not)"
    if name.startswith(DSL) and name.removeprefix(DSL) in class_names:
        return "has the gold labels inside, so numbers by it are biased"
    by_hand = name == ADJUDICATED or name.startswith(VOTE)  # vote_share may be anything
    if name in DRAWN or (by_hand and frame[name].isin(list(class_names)).any()):
        return "has a value on gold texts only, which are not drawn evenly"
    return None
