"""Contents of the page, as plain values for the template."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from silr import __version__
from silr.io.codebook import Codebook
from silr.io.corpus import text_counts
from silr.io.words import Summary, limits, percent, short, visible
from silr.refine.classifier_caution import estimate_in
from silr.refine.record import Record
from silr.report.annotation import in_a_sentence
from silr.report.calibration import calibration
from silr.report.charts import block
from silr.report.compare import comparison
from silr.report.distribution import confusion, histograms
from silr.report.doubtful import doubtful_texts
from silr.report.estimates import estimates
from silr.report.progress import progress
from silr.report.reproduce import reproduce
from silr.report.summary import summary
from silr.report.texts import changed_texts, unsure_texts
from silr.report.warnings import Caution, find_warnings


def contents(record: Record, by: Sequence[str] = ()) -> dict[str, object]:
    """Everything the template shows: strings and numbers; what a table or a person wrote is not escaped yet."""
    values = summary(record)
    truth = record.corpus.truth_column if record.corpus else None
    warnings = find_warnings(record, values)
    return {
        "title": short(Path(record.table["table"]).name if record.table else "a run made in Python"),
        "version": __version__,
        "truth": None if truth is None else short(truth),
        "summary": _summary(record, values, warnings),
        "warnings": warnings,
        "estimates": estimates(record, by),
        "progress": progress(record, values),
        "llms": comparison(record),
        "confusion": confusion(record),
        "histograms": histograms(record),
        "blocks": [block(0), block(1)],
        "calibration": calibration(record),
        "has_texts": record.corpus is not None,
        "doubtful": doubtful_texts(record),
        "changed_texts": changed_texts(record),
        "unsure_texts": unsure_texts(record),
        "codebook": _codebook(record.codebook),
        "reproduce": reproduce(record, by),
    }


def _codebook(codebook: Codebook | None) -> dict[str, object] | None:
    """What the LLM and the person read about the classes."""
    if codebook is None:
        return None
    classes = [
        {
            "name": short(each.name, 200),
            "entries": [(title, [visible(line) for line in lines]) for title, lines in each.entries],
        }
        for each in codebook.classes
    ]
    return {"question": visible(codebook.question or ""), "classes": classes}


def _summary(record: Record, values: Summary, warnings: list[Caution]) -> dict[str, object]:
    """The figures of the first two sentences and of the tiles below them.

    Nothing is marked as good above a serious warning.
    """
    first, best = values["iterations"][0], values["iterations"][values["best_iteration"]]
    labelled = record.llm >= 0
    changed = int((record.llm != record.best.labels)[labelled].sum())
    priors = record.iterations[0].priors
    verdict, names = record.verdict, record.run.manifest["identity"].get("annotators", [""])
    odd = text_counts(record.corpus.texts) if record.corpus else None
    return {
        "texts": f"{len(record.llm):,}",
        "annotator": in_a_sentence(record),
        "odd": str(odd) if odd and (odd.duplicates or odd.empty) else None,
        "classes": [short(name, 40) for name in record.class_names[:12]],
        "n_classes": len(record.class_names),
        "iterations": record.iterations[-1].number,
        "best": record.best_iteration,
        "gold": f"{record.run.manifest.get('gold', 0):,}" if record.run.manifest.get("gold") else None,
        "source": priors.source if priors else "labels" if record.is_posterior else "scores",
        "before": _accuracy(first),
        "after": _accuracy(best),
        "llms": len(names),
        "posterior": record.is_posterior,
        "verdict": verdict,
        "said": verdict.words if not any(verdict.words in caution.words for caution in warnings) else None,
        "better": verdict.finding == "better" and not any(caution.level == "serious" for caution in warnings),
        "true_before": percent(first["true_accuracy"]) if "true_accuracy" in first else None,
        "true_after": percent(best["true_accuracy"]) if "true_accuracy" in best else None,
        "changed": f"{changed:,}",
        "changed_share": percent(changed / max(int(labelled.sum()), 1)),
        "newly": f"{int(np.sum(~labelled)):,}" if not labelled.all() else None,
    }


def _accuracy(row: Summary) -> dict[str, str] | None:
    known = estimate_in(row)
    return known and {"value": percent(known.accuracy), "limits": limits(known.interval)}
