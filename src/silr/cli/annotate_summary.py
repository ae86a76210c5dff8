"""What `silr annotate` says at its end, in words and for `--json`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from silr.annotators.api.annotator import ApiAnnotator
    from silr.annotators.table import AnnotationSummary


def values(done: AnnotationSummary, api: ApiAnnotator | None) -> dict[str, object]:
    """The summary for --json."""
    values: dict[str, object] = {
        "output": str(done.output),
        "written": done.unwritten is None,
        "features": done.features and str(done.features),
        "name": done.name,
        "kept_columns": done.kept,
        "labels": done.labels,
        **done.texts._asdict(),
        "cut": done.n_cut,
        "missing": done.n_missing,
        "missing_reasons": done.reasons,
        "scored": done.n_scored,
    }
    if api is not None:
        values |= {"requests": api.cost.requests, "cached_answers": api.cost.cached, "stopped_by": api.stopped_by}
        values |= {"prompt_tokens": api.cost.prompt_tokens, "completion_tokens": api.cost.completion_tokens}
        about = done.provenance.describe()
        values |= {"snapshots": about.get("snapshots", []), "asked": about.get("requests")}
        values |= {"parameters": api.remarks.parameters, "left_out": about.get("left_out", []), "notes": api.notes}
        values |= _dollars(done, api)
        values["answer_form"] = api.remarks.form
        if api.said:
            values["said"] = {kind: done.n_said.get(kind, 0) for kind in api.said}
    if done.right is not None:
        values["gold_check"] = {**done.right._asdict(), "outside": done.gold_outside}
    return {**values, "seconds": round(done.seconds, 2)}


def lines(done: AnnotationSummary, api: ApiAnnotator | None) -> Iterator[str]:
    """The summary in words."""
    from silr.io.class_names import listed

    yield str(done.texts)
    if done.n_cut:
        yield f"{done.n_cut:,} texts are longer than the model reads and were cut"
    if api is not None:
        cost = api.cost
        yield (
            f"cost: {cost.requests:,} requests, {cost.prompt_tokens:,} + {cost.completion_tokens:,} tokens (prompt + "
            f"answer); {cost.cached:,} answers were known already"
        )
        yield from of_dollars(api, done.record)
        yield from done.provenance.lines()
        yield from _of_answers(done, api)
    yield from _of_missing(done, api)
    if api is not None and api.stopped_by:
        yield f"stopped at the budget of {api.stopped_by}; run again with a higher one to go on"
    total = max(1, sum(done.labels.values()))
    shares = [f"{name} {n:,} ({n / total:.0%})" for name, n in done.labels.items()]
    yield "labels: " + ", ".join(shares) + (f"; missing {done.n_missing:,}" if done.n_missing else "")
    if done.right is not None:
        yield f"by the gold labels: {done.right}"
    if done.gold_outside:
        outside = listed(list(done.gold_outside), 5)
        yield f"{sum(done.gold_outside.values()):,} gold labels are none of --classes and count as wrong: {outside}"
    if done.unwritten is not None:
        yield done.kept_table()
        return
    if done.kept:
        yield f"kept beside them, from the table that was there: {listed(done.kept, 8)}"
    if done.features and done.name:
        yield f"silr refine reads the hidden states of {done.name} with --features {done.features}"
    yield f"written: {done.output}" + (f" and {done.features}" if done.features else "")


def _dollars(done: AnnotationSummary, api: ApiAnnotator) -> dict[str, object]:
    """What was spent, in this session and in all of this annotation, for --json."""
    from silr.annotators.cost import said

    price = api.cost.price
    values: dict[str, object] = {"dollars": said(api.cost.dollars), "price": price and price.describe()}
    return values | {"cost": done.record.get("cost"), "answers": done.record.get("answers")}


def of_dollars(api: ApiAnnotator, record: Mapping[str, Any]) -> Iterator[str]:
    """What was spent, in words; the record is that of the annotation."""
    from silr.annotators.api.prices import explain_unknown
    from silr.annotators.cost import in_words, price_of_thousand

    cost, whole = api.cost, record.get("cost", {})
    if cost.price is None:
        yield explain_unknown(str(api.describe()["model"]), str(api.describe()["server"]))
    elif cost.uncounted:
        yield f"dollars unknown: the server did not count the tokens of {cost.uncounted:,} answers"
    else:
        thousand = price_of_thousand(record)
        each = "" if thousand is None else f"; {in_words(thousand)} a thousand texts"
        yield f"spent: {in_words(cost.dollars)} ({cost.price}){each}"
    if whole.get("requests", 0) > cost.requests:
        yield (
            f"with earlier sessions: {whole['requests']:,} requests, {whole['prompt_tokens']:,} + "
            f"{whole['completion_tokens']:,} tokens, {in_words(whole['dollars'])}"
        )


def _of_answers(done: AnnotationSummary, api: ApiAnnotator) -> Iterator[str]:
    """Lines about the form of the answers, and what was said beside the labels."""
    from silr.annotators.columns import column

    if api.remarks.form is not None:
        constrained = f"the server holds the model to the classes ({api.remarks.form})"
        yield f"answers: {'free' if api.remarks.form == 'free' else constrained}"
    labels = sum(done.labels.values())
    for kind in api.said if labels else ():
        n = done.n_said.get(kind, 0)
        named = column(kind, done.name)
        where = f"column {named}" if n else f"none could be read, so there is no column {named}"
        yield f"{n:,} of {labels:,} labels have a {kind} ({where})"


def _of_missing(done: AnnotationSummary, api: ApiAnnotator | None) -> Iterator[str]:
    """Lines about texts without label, and about labels without scores."""
    from silr.annotators.columns import column
    from silr.annotators.missing import Missing

    if done.reasons:
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in done.reasons.items())
        yield f"{done.n_missing:,} texts have no label: {reasons} (column {column('missing', done.name)})"
    if api is None:
        return
    if failures := list(api.remarks.failures.values()):
        yield f"the last failure: {failures[-1]}"
    if Missing.SERVER in done.reasons:
        yield "run again to ask for those with a server error only"
    labels = sum(done.labels.values())
    if 0 < done.n_scored < labels:
        yield f"{labels - done.n_scored:,} of {labels:,} labels came without scores, which are empty"
