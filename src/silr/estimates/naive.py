"""Shares as counting the LLM's labels gives them, to stand beside the estimates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from silr.estimates.evidence import CLASSIFIER, Codes, Evidence, groups_of
from silr.estimates.groups import group_names
from silr.estimates.result import Row
from silr.refine.labels import REFINED_LABEL
from silr.stats.annotator_evidence import Annotator, majority

LLM, SEVERAL = "the LLM's labels", "the labels that most LLMs gave"


def counted_labels(evidence: Evidence) -> tuple[str, Codes]:
    """The labels that somebody without gold labels would count, in words and as codes, shape (n,)."""
    llms = [codes for column, codes in evidence.labels.items() if column not in (REFINED_LABEL, CLASSIFIER)]
    if len(llms) == 1:
        return LLM, llms[0]
    K = len(evidence.class_names)
    return SEVERAL, majority([Annotator(codes.astype(np.int16)) for codes in llms], K).astype(np.int64)


def with_naive(evidence: Evidence, rows: Sequence[Row], by: Sequence[str] = ()) -> list[Row]:
    """Shares and differences of shares with what counting says; of a group whose texts have no label, nothing."""
    _, codes = counted_labels(evidence)
    shares: dict[str | None, NDArray[np.float64]] = {None: _shares(codes, evidence)}
    if by:
        groups, values = groups_of(evidence, by)
        inside = (groups >= 0) & (codes >= 0)
        K = len(evidence.class_names)
        counts = np.bincount(groups[inside] * K + codes[inside], minlength=K * len(values)).reshape(-1, K)
        totals = counts.sum(axis=1, keepdims=True)
        of_groups = np.where(totals > 0, counts / np.maximum(totals, 1), np.nan)
        shares.update(zip(group_names(by, values), of_groups, strict=True))
    place = {name: k for k, name in enumerate(evidence.class_names)}

    def naive(row: Row) -> float | None:
        if row.class_name is None:
            return None
        k = place[row.class_name]
        value = shares[row.group][k] - (0.0 if row.less is None else shares[row.less][k])
        return float(value) if np.isfinite(value) else None

    return [replace(row, naive=naive(row)) for row in rows]


def _shares(codes: Codes, evidence: Evidence) -> NDArray[np.float64]:
    counts = np.bincount(codes[codes >= 0], minlength=len(evidence.class_names))
    return counts / max(int(counts.sum()), 1) if counts.sum() else np.full(len(counts), np.nan)
