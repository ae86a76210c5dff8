"""The codebook: the question, and for each class a definition, what is in and out, and examples.

The LLM and the person read the same text: `Codebook.entries` is what the prompt, the labelling page, the terminal and
the report show. A file is YAML, of which JSON is a part:

    question: Is this message a complaint?
    classes:
      - name: complaint
        definition: The writer is dissatisfied and says so.
        in: [a complaint that is polite]
        out: [a question about a bill]
        examples:
          - My order came broken.
          - {text: "Third time I write to you.", reason: no word of blame, but it is meant}
      - name: none of these
        none: true
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from silr.errors import InputError
from silr.io.annotator_records import read_records
from silr.io.cells import is_placeholder, label_key, plain
from silr.io.class_names import ClassNames, listed, option_value
from silr.io.codebook_values import checked_keys, flag, load_yaml, one_text, several_texts
from silr.io.files import os_errors

NONE_FITS = "Only where none of the other classes fits."
KEYS, CLASS_KEYS, EXAMPLE_KEYS = (
    ("question", "classes"),
    ("name", "definition", "in", "out", "examples", "none"),
    ("text", "reason"),
)
ONE_LINE = ("Definition", "When to use it")  # titles of entries that are no list
INTRODUCTION = "This codebook says what each class means."


class OtherClassesError(InputError):
    """A codebook has other classes than a table, or than a list."""


@dataclass(frozen=True)
class CodebookExample:
    """A text of a class, perhaps with the reason why."""

    text: str
    reason: str = ""

    @property
    def words(self) -> str:
        """The text in quotation marks, and the reason after it."""
        return f'"{self.text.strip()}"' + (f" ({self.reason})" if self.reason else "")


@dataclass(frozen=True)
class CodebookClass:
    """What a class means.

    Parameters
    ----------
    name : str
    definition : str, default ""
    includes, excludes : sequence of str, default ()
        What belongs to the class, and what does not though it looks alike: ``in`` and ``out`` in a file.
    examples : sequence of CodebookExample, default ()
    is_none : bool, default False
        The class of texts that no other class fits: ``none: true`` in a file.
    """

    name: str
    definition: str = ""
    includes: Sequence[str] = ()
    excludes: Sequence[str] = ()
    examples: Sequence[CodebookExample] = ()
    is_none: bool = False

    @property
    def entries(self) -> list[tuple[str, list[str]]]:
        """What is said of the class, as titles with their lines; what is empty is left out."""
        rows = [
            (ONE_LINE[0], [self.definition]),
            (ONE_LINE[1], [NONE_FITS] if self.is_none else []),
            ("Belongs here", list(self.includes)),
            ("Does not belong here", list(self.excludes)),
            ("Examples", [example.words for example in self.examples]),
        ]
        return [(title, lines) for title, lines in rows if any(lines)]


@dataclass(frozen=True)
class Codebook:
    """The question and the classes, as the LLM and the person read them.

    Parameters
    ----------
    classes : sequence of CodebookClass, of length K >= 2
        In the order in which they are shown.
    question : str, default None
        Asked about every text.

    Raises
    ------
    InputError
        There are fewer than two classes, a class is there twice, or several classes are for texts that fit no other.

    Examples
    --------
    >>> from silr import Codebook
    >>> book = Codebook.from_dict({"classes": [{"name": "spam", "in": ["advertising"]}, {"name": "ham"}]})
    >>> book.class_names
    ['spam', 'ham']
    >>> print(book.text())
    This codebook says what each class means.
    <BLANKLINE>
    Class: spam
    Belongs here:
    - advertising
    <BLANKLINE>
    Class: ham
    """

    classes: Sequence[CodebookClass]
    question: str | None = None

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            named = f"only {self.classes[0].name!r}" if self.classes else "none"
            raise InputError(f"a codebook needs at least two classes, it has {named}")
        known: set[str] = set()
        for name in self.class_names:
            if is_placeholder(name):
                raise InputError(f"the class {name!r} would be read as a missing label; give it another name")
            if label_key(name) in known:
                raise InputError(f"the class {name!r} is there twice")
            known.add(label_key(name))
        none = [each.name for each in self.classes if each.is_none]
        if len(none) > 1:
            raise InputError(f"only one class can have none: true, not {listed(none)}")

    @classmethod
    def read(cls, path: str | Path) -> Codebook:
        """Read a file; InputError if it is no codebook."""
        path = Path(path)
        with os_errors(f"cannot read the codebook {path}"):
            data = path.read_bytes()
        try:
            return cls.from_dict(load_yaml(data))
        except InputError as error:
            raise InputError(f"{path}: {error}") from None

    @classmethod
    def from_dict(cls, values: Any) -> Codebook:
        """Make a codebook of the values of a file, or of those of `to_dict`; InputError if they are none."""
        checked_keys(values, KEYS, "the codebook")
        classes = values.get("classes")
        if not classes:
            raise InputError("the codebook has no classes: list them under `classes:`")
        if not isinstance(classes, (list, tuple)):
            raise InputError("`classes` must be a list: a line `- name: NAME` for each class")
        question = one_text(values.get("question"), "question")
        return cls(tuple(_class(each, number) for number, each in enumerate(classes, 1)), question or None)

    def to_dict(self) -> dict[str, Any]:
        """Return the values of a file, ready for JSON; what is empty is left out."""
        classes = []
        for each in self.classes:
            examples = [
                {"text": example.text, "reason": example.reason} if example.reason else example.text
                for example in each.examples
            ]
            about = {"name": each.name, "definition": each.definition, "in": [*each.includes], "out": [*each.excludes]}
            values = {**about, "examples": examples, "none": each.is_none}
            classes.append({key: value for key, value in values.items() if value})
        return {**({"question": self.question} if self.question else {}), "classes": classes}

    @property
    def class_names(self) -> list[str]:
        """The names of the classes in order."""
        return [each.name for each in self.classes]

    @property
    def has_examples(self) -> bool:
        """Whether any class has an example."""
        return any(each.examples for each in self.classes)

    def text(self, answers: Mapping[str, str] | None = None) -> str:
        """Return the whole as plain text; `answers` are words that stand for classes in the LLM's answer."""
        words = {name: (answers or {}).get(name, name) for name in self.class_names}
        headings = {name: f"Class: {word}" + (f" ({name})" if word != name else "") for name, word in words.items()}
        return "\n\n".join([INTRODUCTION, *self.blocks(headings)])

    def blocks(self, headings: Mapping[str, str]) -> list[str]:
        """Return a paragraph for each class: the heading of its name, and the entries."""
        blocks = []
        for each in self.classes:
            lines = [headings[each.name]]
            for title, entry in each.entries:
                if title in ONE_LINE:
                    lines.append(f"{title}: {entry[0]}")
                else:
                    lines += [f"{title}:", *("- " + line.replace("\n", "\n  ") for line in entry)]
            blocks.append("\n".join(lines))
        return blocks

    def check_classes(self, names: Sequence[str], where: str) -> None:
        """Raise OtherClassesError unless these are the codebook's classes, in any order; `where` they are named."""
        own, others = ClassNames(self.class_names), ClassNames(names)
        for name in self.class_names:
            if others.code(name) < 0:
                raise OtherClassesError(
                    f"the codebook has the class {name!r}, which {where} lacks{_hint(others, name)}"
                )
        for name in names:
            if own.code(name) < 0:
                raise OtherClassesError(f"{where} has the class {name!r}, which the codebook lacks{_hint(own, name)}")

    def check_table(self, given: Sequence[str], known: Sequence[str], table: str | Path) -> None:
        """Raise OtherClassesError unless the classes are those of a table.

        `given` are labels that occur in it; `known` are classes that it tells of in another way.
        """
        own = ClassNames(self.class_names, named=True)
        others = ClassNames([*dict.fromkeys([*given, *known])], named=True)
        for name in given:
            if own.code(name) < 0:
                raise OtherClassesError(f"{table} has the label {name!r}, which the codebook lacks{_hint(own, name)}")
        for name in self.class_names:
            if others.code(name) < 0:
                raise OtherClassesError(
                    f"the codebook has the class {name!r}, which {table} lacks{_hint(others, name)}; if it is a "
                    f"class that no LLM gave: --classes {option_value(self.class_names)}"
                )

    def example_rows(self, texts: Sequence[str]) -> list[int]:
        """The rows of texts that are examples, whatever their white space, case and forms of Unicode."""
        examples = {text_key(example.text) for each in self.classes for example in each.examples}
        return [row for row, text in enumerate(texts) if text_key(text) in examples] if examples else []


def check_gold(codebook: Codebook | None, texts: Sequence[str], known: Collection[int], table: str | Path) -> None:
    """Raise InputError if a text of the rows `known` to have a gold label is an example of the codebook.

    The LLM has read the label of an example in its prompt: what it answers there says nothing of how good it is.
    """
    if codebook is not None and (words := gold_example(codebook, texts, known, table)):
        raise InputError(f"{words}; take another example, or clear its gold label")


def gold_example(codebook: Codebook, texts: Sequence[str], known: Collection[int], table: str | Path) -> str:
    """Words about gold texts that are examples; "" if there are none."""
    gold = set(known)
    rows = [row for row in codebook.example_rows(texts) if row in gold]
    if not rows:
        return ""
    more = f" (and so {len(rows) - 1:,} more)" if len(rows) > 1 else ""
    return f"{table}, row {rows[0] + 1:,}{more}: this text has a gold label and is an example in the codebook"


def recorded_codebook(table: str | Path) -> Codebook | None:
    """The codebook that the annotation of a table was made with; None without one, or if its record is damaged."""
    found = (codebook_of_record(record.get("codebook")) for record in _records(table))
    return next((codebook for codebook in found if codebook is not None), None)  # of several LLMs the first


def recorded_classes(table: str | Path) -> list[str]:
    """The classes that the annotation of a table had to choose from; none without a record."""
    found = (record.get("classes") for record in _records(table))
    return next((list(map(str, classes)) for classes in found if isinstance(classes, list)), [])


def recorded_question(table: str | Path) -> str | None:
    """The question of a table's annotation; None without one."""
    found = (record.get("question") for record in _records(table))
    return next((question for question in found if isinstance(question, str) and question.strip()), None)


def shown_rows(table: str | Path, texts: Sequence[str]) -> set[int]:
    """The rows of texts that an LLM of the table was shown as labelled examples (few-shot)."""
    examples = [each for record in _records(table) for each in record.get("examples") or ()]
    shown = {text_key(str(each[0])) for each in examples if isinstance(each, list) and each}
    return {row for row, text in enumerate(texts) if text_key(text) in shown} if shown else set()


def codebook_of_record(values: Any) -> Codebook | None:
    """The codebook that a record of silr keeps; None if it keeps none, or is damaged."""
    try:
        return None if values is None else Codebook.from_dict(values)
    except InputError:
        return None


def text_key(text: str) -> str:
    """What two texts that are the same to a reader have in common."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _records(table: str | Path) -> list[dict[str, Any]]:
    try:
        return list(read_records(table).values())
    except (OSError, ValueError, InputError):
        return []


def _class(values: Any, number: int) -> CodebookClass:
    if isinstance(values, (str, bool)):  # the name alone; JSON has true and false
        values = {"name": str(values)}
    where = f"class {number}"
    checked_keys(values, CLASS_KEYS, where)
    name = plain(one_text(values.get("name"), f"the name of {where}"))
    if not name:
        raise InputError(f"{where} has no name")
    where = f"the class {name!r}"
    return CodebookClass(
        name,
        one_text(values.get("definition"), f"the definition of {where}"),
        tuple(several_texts(values.get("in"), f"`in` of {where}")),
        tuple(several_texts(values.get("out"), f"`out` of {where}")),
        tuple(_example(each, where) for each in _listed(values.get("examples"))),
        flag(values.get("none"), f"`none` of {where}"),
    )


def _example(values: Any, where: str) -> CodebookExample:
    if isinstance(values, Mapping):
        checked_keys(values, EXAMPLE_KEYS, f"an example of {where}")
        text, reason = values.get("text"), one_text(values.get("reason"), f"the reason of an example of {where}")
    else:
        text, reason = values, ""
    if not isinstance(text, str) or not text.strip():
        raise InputError(f"an example of {where} is no text: {str(values)[:40]!r}; write it in quotation marks")
    return CodebookExample(text, reason)


def _listed(values: Any) -> Sequence[Any]:
    if values is None or values == "":
        return ()
    return values if isinstance(values, (list, tuple)) else [values]


def _hint(names: ClassNames, name: str) -> str:
    near = names.nearest(name)
    return "" if near is None else f"; did you mean {near!r}?"
