"""Labels that people gave elsewhere: exports of Label Studio (JSON, JSON-MIN) and Argilla (JSON or JSONL).

Label Studio: a list of tasks, each with `data` and `annotations`, whose results of type "choices" are read; or flat
rows (JSON-MIN), one an annotation, whose answers are the values that are neither data of the table nor about the
annotation. Argilla: records with `fields` and `responses` (a list of answers for each question, or version 1's list of
persons with their `values`), or the flat rows of a data set with `text` and `label.responses`. Of several questions the
one whose answers are the classes counts. Where several persons disagree the majority counts; the votes of each person
are kept beside it, by the name or number that the program has for the person.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from silr.errors import InputError
from silr.io.cells import label_name
from silr.io.class_names import ClassNames, listed

Record = dict[str, Any]  # as a program wrote it
NEARLY_ALL = 0.9  # of the answers to a question are classes, where it asks for them
_UNDECIDED = {"draft", "discarded", "pending"}  # what Argilla calls an answer that was not submitted

NOBODY = ""  # a person whom the file does not name
_ABOUT = {"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement"}  # in JSON-MIN


class Imported(NamedTuple):
    """Labels of a file: class numbers by row, and counts of what was left out."""

    gold: dict[int, int]
    records: int
    unlabelled: int
    unmatched: int
    outside: Counter[str]
    disputed: int
    known: int
    votes: dict[str, dict[int, int]]  # by person, of all records, those with gold already too
    repeated: int  # labels of a person on a text with another label of the same person, which are in no vote

    @property
    def persons(self) -> list[str]:
        """Persons whom the file names."""
        return [person for person in self.votes if person != NOBODY]

    def __str__(self) -> str:
        parts = [f"{len(self.gold):,} labels read"]
        for count, reason in (
            (self.known, "had gold already, which is kept"),
            (self.unlabelled, "without a label"),
            (self.unmatched, "match no text of the table"),
            (self.disputed, "where the labels of several persons tie"),
        ):
            parts += [f"{count:,} {reason}"] * bool(count)
        if self.outside:
            named = ", ".join(f"{name!r} {count}" for name, count in self.outside.most_common(5))
            parts.append(f"{self.outside.total():,} outside the classes ({named})")
        most = 2 * self.unmatched > self.records and (self.gold or self.known)
        other = "; most records match no text: is this an export of the same table?" if most else ""
        return f"{self.records:,} records: " + ", ".join(parts) + other


def import_gold(
    path: Path,
    texts: Sequence[str],
    ids: Sequence[str | None],
    classes: Sequence[str],
    taken: Collection[int],
    text_name: str = "text",
    columns: Collection[str] = (),
) -> Imported:
    """Read a file of labels and find their texts in the table.

    A record belongs to the row with its text (in the file `text_name` or "text"), or if none has, with its id. Of equal
    texts the first without a label gets it. Rows in `taken` keep their gold. Classes are compared exactly, then without
    regard to case. `columns` are the table's, which a JSON-MIN export repeats beside the label. An InputError says why
    nothing can be used.
    """
    rows = Rows(texts, ids, text_name)
    names = ClassNames(classes, named=True)
    records = list(_records(path, {*columns, text_name, "text"}))
    answers = [list(_answers(record)) for record in records]
    question = _question(answers, names, path)
    gold: dict[int, int] = {}
    everyone = _Votes(names)
    unlabelled = unmatched = disputed = known = 0
    outside: Counter[str] = Counter()
    for record, every in zip(records, answers, strict=True):
        votes = Counter(answer for asked, answer, _ in every if asked == question)
        if not votes:
            unlabelled += 1
            continue
        (answer, most), *others = votes.most_common(2)
        number = names.code(answer)
        row = rows.of(record, gold)
        if row is None:
            unmatched += 1
            continue
        everyone.add(row, [(person, answer) for asked, answer, person in every if asked == question])
        if others and others[0][1] == most:
            disputed += 1
        elif number < 0:
            outside[answer] += 1
        elif row in taken or row in gold:
            known += 1
        else:
            gold[row] = number
    counts = (len(records), unlabelled, unmatched, outside, disputed, known)
    imported = Imported(gold, *counts, everyone.by_person, len(everyone.repeated))
    if not gold and not known and not imported.persons:
        raise InputError(f"{path}: {imported}: nothing can be used{_remedy(imported, text_name)}")
    return imported


class _Votes:
    """Votes of each person; a person who gives a text two labels gives it none."""

    def __init__(self, names: ClassNames) -> None:
        self._names = names
        self.by_person: dict[str, dict[int, int]] = {}
        self.repeated: set[tuple[str, int]] = set()

    def add(self, row: int, answers: Sequence[tuple[str, str]]) -> None:
        """Add the answers of one text, each with its person."""
        for person, answer in answers:
            code = self._names.code(answer)
            if code < 0 or (person, row) in self.repeated:
                continue
            mine = self.by_person.setdefault(person, {})
            if mine.setdefault(row, code) != code:
                del mine[row]
                self.repeated.add((person, row))


def _remedy(imported: Imported, text_name: str) -> str:
    """A remedy for the most frequent reason why nothing can be used."""
    if imported.outside.total() > max(imported.unmatched, imported.unlabelled):
        return "; --classes names the classes, or rename the answers"
    if imported.unmatched > imported.unlabelled:
        return f"; records are found by their text (column {text_name!r}, see --text-column) or by the column 'id'"
    return "; a label is one submitted choice a record"


def _question(answers: Sequence[Sequence[tuple[str, str, str]]], classes: ClassNames, path: Path) -> str | None:
    """The question whose answers are classes most often; InputError if those to several are, nearly all."""
    pairs = [pair for record in answers for pair in record]
    asked = Counter(question for question, _, _ in pairs)
    right = Counter(question for question, answer, _ in pairs if classes.code(answer) >= 0)
    fits = [question for question in asked if right[question] > NEARLY_ALL * asked[question]]
    if len(fits) > 1:
        raise InputError(
            f"{path} has several questions whose answers are the classes: {listed(fits)}; leave the others out of the "
            "export"
        )
    return max(asked, key=lambda question: (right[question], asked[question]), default=None)


def _records(path: Path, columns: set[str]) -> list[Record]:
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8; save the file as UTF-8") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    try:
        values = json.loads(content)
    except (ValueError, RecursionError):
        values = list(_lines(content, path))
    if isinstance(values, dict):
        values = [values]
    if not isinstance(values, list) or not values or not all(isinstance(value, dict) for value in values):
        raise InputError(f"{path} has no records; export JSON from Label Studio, or JSON or JSONL from Argilla")
    if all("annotation_id" in value for value in values):
        return _tasks(values, columns)
    known = ("annotations", "responses")
    if not any(name in known or str(name).endswith(".responses") for value in values for name in value):
        raise InputError(
            f"{path}: no record has annotations (Label Studio's JSON), annotation_id (JSON-MIN) or responses "
            f"(Argilla); its first has {', '.join(map(repr, list(values[0])[:8]))}"
        )
    return values


def _tasks(rows: list[Record], columns: set[str]) -> list[Record]:
    """Put the rows of a JSON-MIN export together to tasks as in the JSON export; their own id is the task's."""
    tasks: dict[str, Record] = {}
    for number, row in enumerate(rows):
        task = tasks.setdefault(str(row.get("id", f"row {number}")), {"data": {}, "annotations": []})
        task["data"] |= {name: value for name, value in row.items() if name != "id"}
        results = []
        for name, answer in row.items():
            if name not in columns and name not in _ABOUT:
                choices = answer.get("choices") if isinstance(answer, dict) else answer
                results.append({"type": "choices", "from_name": name, "value": {"choices": choices}})
        task["annotations"].append({"result": results, "completed_by": row.get("annotator")})
    return list(tasks.values())


def _lines(content: str, path: Path) -> Iterator[object]:
    for number, line in enumerate(content.split("\n"), start=1):
        if line.strip():
            try:
                yield json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{path}, line {number}: not JSON, {getattr(error, 'msg', error)}") from error


def _answers(record: Record) -> Iterator[tuple[str, str, str]]:
    """The questions and single choices of all persons, and the persons."""
    for annotation in _dicts(record.get("annotations")):
        if annotation.get("was_cancelled"):
            continue
        for result in _dicts(annotation.get("result")):
            if result.get("type") == "choices":
                name = str(result.get("from_name", ""))
                choices = _dict(result.get("value")).get("choices")
                yield from _one(name, choices, annotation.get("completed_by"))
    responses = record.get("responses")
    if isinstance(responses, dict):
        for name, persons in responses.items():
            for answer in _dicts(persons):
                yield from _submitted(name, answer, answer.get("value"))
    for person in _dicts(responses):
        for name, answer in _dict(person.get("values")).items():
            yield from _submitted(name, person, _dict(answer).get("value"))
    for name, values in record.items():
        if str(name).endswith(".responses") and isinstance(values, list):
            states, users = (_beside(record.get(f"{name}.{kind}"), values) for kind in ("status", "users"))
            for value, state, user in zip(values, states, users, strict=False):
                yield from _submitted(name.removesuffix(".responses"), {"status": state, "user_id": user}, value)


def _beside(column: object, values: Sequence[object]) -> Sequence[object]:
    return column if isinstance(column, list) else [None] * len(values)


def _submitted(question: str, answer: Record, value: object) -> Iterator[tuple[str, str, str]]:
    if str(answer.get("status")) not in _UNDECIDED:
        yield from _one(question, value, answer.get("user_id"))


def _one(question: str, value: object, person: object) -> Iterator[tuple[str, str, str]]:
    """One choice, alone or in a list; several, a rating of spans or nothing are no label."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, (str, int, float)) and (name := label_name(value)) is not None:
        yield question, name, _person(person)


def _person(value: object) -> str:
    """The name of a person as a column can have it, from a name, a number, or a record of the person."""
    if isinstance(value, dict):
        value = next((value[key] for key in ("username", "email", "id") if value.get(key)), None)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return NOBODY
    return re.sub(r"[^\w-]+", "_", str(value)).strip("_")


class Rows:
    """Rows of the table by text, by the text's words and by id."""

    def __init__(self, texts: Sequence[str], ids: Sequence[str | None], text_name: str) -> None:
        self._text_name = text_name
        self._by_text: dict[str, list[int]] = {}
        for row, text in enumerate(texts):
            self._by_text.setdefault(_plain(text), []).append(row)
        several = Counter(map(_words, self._by_text))  # nobody knows which of them is meant
        self._by_words = {_words(text): rows for text, rows in self._by_text.items() if several[_words(text)] == 1}
        self._by_id = {name: row for row, name in enumerate(ids) if name is not None}

    def of(self, record: Record, taken: Collection[int]) -> int | None:
        """The row of a record; of several with its text the first that is not taken."""
        fields = {**record, **_dict(record.get("fields")), **_dict(record.get("data"))}
        for text in (fields.get(self._text_name), fields.get("text")):
            if isinstance(text, str) and (
                rows := self._by_text.get(_plain(text)) or self._by_words.get(_words(text), [])
            ):
                return next((row for row in rows if row not in taken), rows[0])
        named = _dict(record.get("data")).get("id", record.get("id") if "data" not in record else None)
        for value in (named, record.get("external_id"), _dict(record.get("metadata")).get("id")):
            if isinstance(value, (str, int)) and str(value) in self._by_id:
                return self._by_id[str(value)]
        return None


def _plain(text: str) -> str:
    """A text as it looks: line ends and outer space differ between programs."""
    return text.replace("\r\n", "\n").strip()


def _words(text: str) -> str:
    """A text with one blank wherever there is white space of any kind, as web pages show it."""
    return " ".join(text.split())


def _dict(value: object) -> Record:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> list[Record]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
