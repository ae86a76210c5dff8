"""LLM labels and scores of new texts, checked against those of the corpus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError
from silr.io.label_codes import check_shapes, encode, llm_columns, llm_score_arrays
from silr.stats.annotator_evidence import Annotator, Scale


def annotators_of(
    llm_labels: object,
    llm_scores: object,
    names: Sequence[str],
    scales: Sequence[Scale | None],
    classes: NDArray[np.generic],
    n: int,
) -> list[Annotator]:
    """Labels and scores of new texts, in the order of the LLMs that labelled the corpus.

    Labels and scores as `silr.LabelRefiner.predict_proba` takes them. `names` are those of the LLMs that labelled the
    corpus; `scales` are not None for those whose scores are wanted; `n` counts the texts. Raises InputError if LLMs,
    classes or lengths are others, or scores are missing.
    """
    scores = llm_score_arrays(llm_scores, names, classes.tolist())
    for name, values, scale in zip(names, scores, scales, strict=True):
        if scale is not None and values is None:
            raise InputError(
                f"the corpus had scores of the LLM{name and f' {name}'}: give llm_scores for new texts too"
            )
        check_shapes(values, None, n, [str(name) for name in classes])
    if llm_labels is None:
        known = [values for values in scores if values is not None]
        labels = [np.where(np.isfinite(values).all(axis=1), values.argmax(axis=1), -1) for values in known]
        if len(labels) < len(names):
            raise InputError("give llm_labels of the LLMs that have no scores")
    else:
        columns = llm_columns(llm_labels)
        named = isinstance(llm_labels, Mapping) or hasattr(llm_labels, "columns")
        if len(columns) != len(names) or (named and set(columns) != set(names)):
            raise InputError(
                f"the corpus was labelled by {len(names)} LLM(s) ({', '.join(names)}), not {', '.join(columns)}"
            )
        ordered = [columns[name] for name in names] if set(columns) == set(names) else list(columns.values())
        labels = [encode(column, classes.tolist()) for column in ordered]
    for codes in labels:
        if len(codes) != n:
            raise InputError(f"X has {n:,} rows, llm_labels {len(codes):,}")
    return [
        Annotator(label.astype(np.int16), score if scale is not None else None, name)
        for label, score, scale, name in zip(labels, scores, scales, names, strict=True)
    ]
