"""`silr label --adjudicate` and `--again RUN`: a person decides about gold labels that are in doubt."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from silr.errors import InputError

if TYPE_CHECKING:
    from silr.label.gold_table import GoldTable
    from silr.label.review import Review

INTERRUPTED = 130
DRAWS = {  # with their defaults
    "number": None,
    "until_width": None,
    "imported": None,
    "gold_from": "majority",
    "draw": "rounds",
    "seed": 0,
}


def is_review(options: Mapping[str, Any]) -> bool:
    """Whether these options of `silr label` ask for a review.

    InputError for two kinds at once, and for options that it has no use for.
    """
    adjudicate, again = options["adjudicate"], options["again"]
    if not adjudicate and again is None:
        return False
    option = "--adjudicate" if adjudicate else "--again"
    if adjudicate and again is not None:
        raise InputError("--adjudicate and --again are two reviews: give one of them")
    for name, default in DRAWS.items():
        if options.get(name, default) not in (default, []):
            named = {"imported": "import"}.get(name, name).replace("_", "-")
            raise InputError(f"{option} draws no texts and takes none: leave out --{named}")
    if again is not None and options["show_llm_label"]:
        raise InputError(f"{option} shows what the LLM said in any case: leave out --show-llm-label")
    return True


def classes_of_run(run: Path | None) -> list[str] | None:
    """The classes of a run, which may be more than the LLM gave; InputError if it is none."""
    if run is None:
        return None
    from silr.refine.run import Run

    return Run(run).result().class_names


def review(
    table: GoldTable,
    text: str,
    again: Path | None,
    ask: Callable[[Review], bool],
    report: Callable[[str], None],
    *,
    person: str | None = None,
    show_llm_label: bool = False,
    as_json: bool = False,
) -> None:
    """Ask about the disputed texts of a table, or with `again`, a run, about its doubtful gold labels.

    `report` is called with lines that the user should read, and `ask` with what there is to decide, unless nothing is.
    """
    from silr.io.votes import person_name
    from silr.label.doubts import disputed_texts, doubtful_texts, votes_of
    from silr.label.review import Review
    from silr.label.review_columns import ReviewColumns

    person = None if person is None else person_name(person)
    columns = ReviewColumns(table, text, adjudicated=True)
    if again is None:
        doubts, mode = disputed_texts(table, columns, show_llm_label), "adjudicate"
    else:
        columns.adjudicated = votes_of(table, columns) is not None
        doubts, mode = doubtful_texts(table, columns, again), "again"
    session = Review(table, columns, doubts, "again" if mode == "again" else "adjudicate", person)
    finished = True
    try:
        if session.recovered:
            report(f"taken up from a session that was cut off: {session.recovered:,} decision(s)")
            session.save()
        if session.current is not None:
            finished = ask(session)
    except KeyboardInterrupt:
        finished = False
    finally:
        session.close()
    if as_json:
        print(json.dumps(session.result(), ensure_ascii=False), flush=True)
    for line in summary_lines(session.result()):
        report(line)
    if not finished:
        raise typer.Exit(INTERRUPTED)


def summary_lines(result: Mapping[str, Any]) -> list[str]:
    """What a review came to."""
    of = "disputed texts" if result["mode"] == "adjudicate" else "gold labels to look at again"
    if not result["target"]:
        lines = [f"no {of}" + (" are left" if result["recovered"] else "")]
    else:
        left = f", {result['left']:,} left" if result["left"] else ""
        kinds = ", ".join(f"{result[name]:,} {name}" for name in ("kept", "changed", "new") if result[name])
        lines = [f"{result['decided']:,} of {result['target']:,} {of} decided" + f" ({kinds})" * bool(kinds) + left]
    return lines + [f"written: {result['output']}"] * bool(result["decided"] or result["recovered"])
