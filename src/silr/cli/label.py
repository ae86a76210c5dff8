"""The command `silr label`: a person gives gold labels, on a local page or in the terminal."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer import Option

from silr.cli.label_people import (
    GoldFrom,
    Imports,
    Person,
    agreement_of_session,
    check_who,
    people_json,
    print_agreement,
    say_who,
    take_imports,
)
from silr.cli.label_review import classes_of_run, is_review, review
from silr.cli.label_width import Number, UntilWidth, check_until, most_labels, width_lines
from silr.cli.options import AsJson, Classes, Quiet, Seed, TableOrPieces, TextColumn, narrator, split_classes
from silr.errors import InputError
from silr.extras import needs

if TYPE_CHECKING:
    from silr.label.gold_table import GoldTable
    from silr.label.posterior import BackgroundPosterior
    from silr.label.review import Review
    from silr.label.session import Session

INTERRUPTED = 130


OUTPUT_HELP = "Where the table with gold goes; default: TABLE itself, but for one in pieces."
ShowLabel = Annotated[bool, Option("--show-llm-label", help="Show what the LLM said; it biases the answer.")]
DRAW_HELP = "rounds: half by LLM label, then what a model fitted meanwhile is unsure of; strata: all by LLM label."
CODEBOOK_HELP = "YAML file shown beside the texts; default: the one that silr annotate had."
CodebookFile = Annotated[Path | None, Option("--codebook", help=CODEBOOK_HELP)]
ADJUDICATE_HELP = "Decide about the texts on which several people disagree (columns vote_NAME)."
AGAIN_HELP = "Look again at the gold labels that all else in this run of refine contradicts."
Adjudicate = Annotated[bool, Option("--adjudicate", help=ADJUDICATE_HELP)]
Again = Annotated[Path | None, Option("--again", metavar="RUN", help=AGAIN_HELP)]
LabelColumn = Annotated[str, Option(help="Column with the LLM's labels; without it most of llm_label_NAME.")]


def label(
    table: TableOrPieces,
    number: Number = None,
    until_width: UntilWidth = None,
    output: Annotated[Path | None, Option("--output", "-o", help=OUTPUT_HELP)] = None,
    classes: Classes = None,
    codebook: CodebookFile = None,
    terminal: Annotated[bool, Option("--terminal", help="Ask here, without a browser: over ssh.")] = False,
    browser: Annotated[bool, Option(help="Open the page.")] = True,
    port: Annotated[int, Option(min=0, max=65535, help="Of the page, on 127.0.0.1; 0: any free one.")] = 0,
    person: Person = None,
    imported: Imports = None,
    gold_from: GoldFrom = "majority",
    show_llm_label: ShowLabel = False,
    adjudicate: Adjudicate = False,
    again: Again = None,
    draw: Annotated[Literal["rounds", "strata"], Option(help=DRAW_HELP)] = "rounds",
    text_column: TextColumn = "text",
    label_column: LabelColumn = "llm_label",
    seed: Seed = 0,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Label some texts by hand, on a page of this machine.

    Draws texts of each LLM label, by its score, and from half-way on those more often whose label is unsure, with the
    weights that make them speak for all. Adds columns gold and gold_weight. Every label is on the disk at once: stop
    when you like, the same command goes on.
    """
    if is_review(options := locals()):
        return _review(options)
    until = check_until(until_width)
    ask = _asker(terminal, port, lambda address: _open(address, browser, quiet, as_json))
    from silr.io.corpus import features_path
    from silr.label.posterior import BackgroundPosterior
    from silr.label.session import Session

    say = narrator(quiet or as_json)
    named = split_classes(classes) if classes else None
    rounds = draw == "rounds" and _can_draw_in_rounds(table, say)
    named_columns = {"text": text_column, "label": label_column, "rounds": rounds}
    source = _gold_table(table, codebook, say, output=output, classes=named, **named_columns)
    most = most_labels(number, until, source)
    check_who(source, person, most, imported)
    posterior = BackgroundPosterior(source, features_path(table), seed) if rounds else None
    session = Session(source, most, seed, show_llm_label, posterior, person, gold_from, until)
    finished, imports = True, []
    try:
        if session.recovered:
            say(f"taken up from a session that was cut off: {session.recovered:,} label(s), skip(s) or undo(s)")
            session.save()
        imports = take_imports(session, imported or [], say)
        say_who(session, say)
        if session.wants(most):
            _interrupt_on_signals()
            finished = ask(session)
    except KeyboardInterrupt:
        finished = False
    finally:
        if posterior is not None:
            posterior.close()
        session.close()
    _report(session, posterior, imports, quiet, as_json)
    if not finished:
        raise typer.Exit(INTERRUPTED)


def _can_draw_in_rounds(table: Path, say: Callable[[str], None]) -> bool:
    """Whether a model can be fitted to the table between the labels; if not, a line says so."""
    from silr.io.pieces import is_in_pieces

    if not is_in_pieces(table):
        return True
    say("a table in pieces: all texts are drawn by strata (LLM label and score), none by a model fitted meanwhile")
    return False


def _review(options: dict[str, Any]) -> None:
    """Decide about gold labels that are in doubt, by the options of `label`."""
    from silr.io.pieces import is_in_pieces

    if is_in_pieces(options["table"]):
        raise InputError("--adjudicate and --again take a table in one file, not one in pieces")
    ready = partial(_open, browser=options["browser"], quiet=options["quiet"], as_json=options["as_json"])
    ask = _asker(options["terminal"], options["port"], ready)
    say = narrator(options["quiet"] or options["as_json"])
    classes = split_classes(options["classes"]) if options["classes"] else classes_of_run(options["again"])
    columns = {"text": options["text_column"], "label": options["label_column"], "rounds": True}
    table = _gold_table(
        options["table"], options["codebook"], say, output=options["output"], classes=classes, **columns
    )
    _interrupt_on_signals()
    named = {name: options[name] for name in ("person", "show_llm_label", "as_json")}
    review(table, options["text_column"], options["again"], ask, say, **named)


def _interrupt_on_signals() -> None:
    """A closed terminal is an interruption like Ctrl-C."""
    for name in ("SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)


def _gold_table(table: Path, file: Path | None, say: Callable[[str], None], **options: Any) -> GoldTable:
    """The table, with the codebook of a file, else with that of the annotation's record where it fits."""
    from silr.io.codebook import Codebook, OtherClassesError, recorded_codebook
    from silr.label.gold_table import GoldTable

    if file is not None:
        return GoldTable(table, codebook=Codebook.read(file), **options)
    try:
        return GoldTable(table, codebook=recorded_codebook(table), **options)
    except OtherClassesError as error:
        say(f"the codebook of the annotation is not shown: {error}")
        return GoldTable(table, **options)


def _asker(terminal: bool, port: int, ready: Callable[[str], None]) -> Callable[[Session | Review], bool]:
    """The function that asks, refused before any work where it cannot."""
    if not terminal:
        with needs("label", "the page", "or take --terminal"):
            from silr.label.server import serve
        return lambda session: serve(session, port, ready)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError("--terminal needs a terminal to read keys from")
    from silr.label.terminal import ask

    return ask


def _open(address: str, browser: bool, quiet: bool, as_json: bool) -> None:
    """Say where the page is, even if quiet when nothing opens it; a browser may take its time, or the terminal."""
    if not (quiet and browser):
        line = f"label at {address} (Ctrl-C saves and stops)"
        print(line, file=sys.stderr if quiet or as_json else sys.stdout, flush=True)
    if browser:
        import threading
        import webbrowser

        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


def _report(
    session: Session, posterior: BackgroundPosterior | None, imports: list[str], quiet: bool, as_json: bool
) -> None:
    agreement = agreement_of_session(session)
    result = session.result(everyone=True) | people_json(session, agreement)
    if posterior is not None:
        result |= {"fits": posterior.fits, "failed_fits": posterior.failures}
    if as_json:
        print(json.dumps({**result, "imports": imports}, ensure_ascii=False), flush=True)
        return
    if quiet:
        return
    if session.person is not None:
        print(f"{session.person}: {session.done:,} labels, {result['added']:,} of them new")
    counts = ", ".join(f"{name} {count:,}" for name, count in result["classes"].items())
    new = "from the votes" if session.people else f"{result['added']:,} of them new"
    print(f"{result['gold']:,} gold labels ({counts}), {new}")
    if result["drawn_by_posterior"]:
        print(f"{result['drawn_by_posterior']:,} of them drawn by how unsure their label was")
    if result["only_train"]:
        count = result["only_train"]
        does = "it trains and does" if count == 1 else "they train and do"
        print(f"{count:,} of them came from elsewhere: {does} not judge (gold_weight 0)")
    if posterior is not None and posterior.failures:
        what = f"{posterior.failures:,} of {posterior.fits + posterior.failures:,} fits between the labels failed"
        print(f"{what}, and draws followed the one before: {posterior.problem}")
    if result["llm_accuracy"] is not None:
        low, high = result["llm_accuracy_interval"]
        print(f"the LLM's labels: estimated accuracy {result['llm_accuracy']:.1%} ({low:.0%} to {high:.0%})")
    for line in width_lines(result):
        print(line)
    if agreement is not None:
        print_agreement(session, agreement)
    if result["gold"] or session.people:
        print(f"written: {session.table.output}", flush=True)
