"""Several people in `silr label`: `--as`, `--import NAME=FILE`, and what is said of their agreement at the end."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Option

from silr.errors import InputError

if TYPE_CHECKING:
    from silr.estimates.agreement import PeopleAgreement
    from silr.label.gold_table import GoldTable
    from silr.label.session import Session

AS_HELP = "Who labels: letters, digits, - and _. Each person has a column vote_NAME, and gold is what most say."
RULE_HELP = "How votes become gold: what most say (a tie gives none), or by each person's errors (silr\\[votes])."
IMPORT_HELP = (
    "Also take labels: exports of Label Studio (JSON, JSON-MIN) and Argilla, or tables of people. Again for more."
)
Person = Annotated[str | None, Option("--as", metavar="NAME", help=AS_HELP)]
GoldFrom = Annotated[Literal["majority", "dawid-skene"], Option(help=RULE_HELP)]
Imports = Annotated[list[str] | None, Option("--import", metavar="[NAME=]FILE", help=IMPORT_HELP)]


def check_who(table: GoldTable, person: str | None, number: int, imports: Sequence[str] | None) -> None:
    """Refuse to ask nobody in particular where people have names."""
    wanted = number > len(table.gold) and not imports
    if person is None and table.people.rows() and wanted:
        raise InputError(
            f"{table.output} has the votes of {table.people.listed()}: say who labels, --as NAME (with -n 0 nobody is "
            "asked)"
        )


def say_who(session: Session, say: Callable[[str], None]) -> None:
    """Say which gold labels of before became votes."""
    if session.renamed:
        say(
            f"{session.renamed:,} gold labels of before, of nobody's name, are now the votes of 'unnamed'; rename the "
            "column vote_unnamed if you know the person"
        )


def take_imports(session: Session, values: Sequence[str], say: Callable[[str], None]) -> list[str]:
    """Take the labels of files, as votes where people have names; return what there was in each."""
    lines = []
    for value in values:
        lines.append(_take(session, value, say))
        say(lines[-1])
    return [line.partition(": ")[2] for line in lines]


def _take(session: Session, value: str, say: Callable[[str], None]) -> str:
    from silr.label.import_votes import is_table, named_file, votes_of_export, votes_of_table

    table = session.table
    person, path = named_file(value)
    if is_table(path):
        votes = votes_of_table(path, person, table)
    else:
        labels = table.imported(path, session.gold)
        if person is None and not session.people and len(labels.persons) < 2:
            session.adopt({row: code for row, code in labels.gold.items() if row not in table.barred})
            if examples := len(table.barred & labels.gold.keys()):
                say(f"{examples:,} of them left out: their texts are examples that the LLM was shown")
            return f"{path}: {labels}"
        votes = votes_of_export(path, person, labels)
    votes, examples = votes.without(table.barred)
    added = session.adopt_votes(votes)
    left_out = f", {examples:,} texts left out that are examples that the LLM was shown" if examples else ""
    return f"{path}: {votes}, {added:,} of them new{left_out}"


def agreement_of_session(session: Session) -> PeopleAgreement | None:
    """Agreement of the people, if there are two or more."""
    import numpy as np

    from silr.estimates.agreement import agreement_of
    from silr.io.votes import Votes

    people = session.people
    names = [person for person, labels in people.votes.items() if labels]
    if len(names) < 2:
        return None
    n = len(session.table.texts)
    codes = np.full((n, len(names)), -1, dtype=np.int16)
    for place, person in enumerate(names):
        labels = people.votes[person]
        codes[list(labels), place] = list(labels.values())
    decided = np.zeros(n, dtype=bool)
    decided[list(people.adjudicated)] = True
    return agreement_of(Votes(names, codes), session.table.classes, session.table.llm_codes, decided)


def print_agreement(session: Session, agreement: PeopleAgreement) -> None:
    """Say how far people agree, and how to decide where they do not."""
    print(agreement)
    if agreement.disputed:
        tied = f", {agreement.tied:,} of them tied and without gold" if agreement.tied else ""
        command = f"silr label {shlex.quote(str(session.table.output))} --adjudicate"
        print(f"{agreement.disputed:,} disputed text{'s' * (agreement.disputed != 1)}{tied}; decide them: {command}")


def people_json(session: Session, agreement: PeopleAgreement | None) -> dict[str, Any]:
    """What `--json` has beside the rest; nothing where nobody has a name."""
    if not session.people:
        return {}
    return {"person": session.person, "labelled": session.done, "agreement": agreement and agreement.to_dict()}
