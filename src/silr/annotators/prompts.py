"""Prompts: the question, the place of the text, the opening of the answer, and the words of a class."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from silr.errors import InputError
from silr.io.codebook import Codebook

TEMPLATE = "{question} Answer with one word.\n\n{examples}Text: {text}"
CONTENT_FREE = ("N/A", "[MASK]", "")  # texts for contextual calibration: Zhao et al. 2021, section 5
OPENING = "The answer is"  # where the question cannot be restated

_PLACE = re.compile(r"\{(question|classes|examples|codebook|text)\}")
_LETTER = re.compile(r".|[A-Z]{2}")  # AA is the letter of a 27th class
_LINK = r"((?:\s+(?:a|an|the|about|for|from|in|of|on|more))*)"  # belongs to the answer, not to what is asked about


@dataclass(frozen=True)
class Prompt:
    """The annotator's prompt; nothing but `{question}`, `{classes}` and `{text}` in the template is replaced.

    Parameters
    ----------
    classes : sequence of str, of length K >= 2
        The class names in order; none: those of the codebook, whose order counts in any case.
    question : str, default None
        Asked about every text; by default that of the codebook, else "Is this text A, B or C?".
    template : str
        The user's message, with `{text}` exactly once; `{question}`, `{classes}` ("A, B or C"), `{examples}` and
        `{codebook}` where wanted. Other braces stand for themselves, also in the question and in the texts.
    opening : str, default None
        How the model's answer begins; the class word follows it, after one space unless the opening brings its own
        white space. "" lets the class word begin the answer. By default the question is restated: "Is this review
        positive or negative?" gives "This review is"; where that cannot be done, "The answer is".
    class_words : mapping of str to str, default None
        The answer that stands for a class; a class that is not named answers with its own name.
    examples : sequence of (text, class name), default ()
        Labelled examples (few-shot), shown where the template says `{examples}`.
    codebook : Codebook, default None
        Shown where the template says `{codebook}`; see `with_codebook` for templates that are not the user's own.

    Attributes
    ----------
    words : tuple of str, of length K
        The answers, in the order of the classes.

    Raises
    ------
    InputError
        Fewer than two classes, an empty or repeated name or answer, an unknown class in `class_words`, no or more than
        one `{text}`, a question that the template never asks, or examples or a codebook that it never shows. Examples
        of no class, other classes or another question than the codebook's, or examples in both.
    """

    classes: Sequence[str] | None
    question: str | None = None
    template: str = TEMPLATE
    opening: str | None = None
    class_words: Mapping[str, str] | None = None
    examples: Sequence[tuple[str, str]] = ()
    codebook: Codebook | None = None
    words: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        classes, class_words = class_names(self.classes, self.codebook), dict(self.class_words or {})
        if unknown := [name for name in class_words if name not in classes]:
            raise InputError(f"class_words names {unknown[0]!r}, which is none of the classes {', '.join(classes)}")
        words = tuple(class_words.get(name, name).strip() for name in classes)
        if len(classes) < 2:
            raise InputError("give at least two classes")
        for kind, names in (("class", classes), ("class word", words)):
            if any(not name or name != name.strip() for name in names):
                raise InputError(f"a {kind} is empty or has white space around it: {', '.join(map(repr, names))}")
            if len(set(names)) < len(names):
                raise InputError(f"a {kind} is given twice: {', '.join(map(repr, names))}")
        places = _PLACE.findall(self.template)
        if places.count("text") != 1:
            raise InputError(f"the prompt must contain {{text}} exactly once, not {places.count('text')} times")
        if self.codebook is not None:
            self._check_codebook(places)
        elif "codebook" in places:
            raise InputError("the prompt has {codebook}, and there is no codebook: give one (--codebook FILE)")
        if self.question is not None and "question" not in places:
            raise InputError("the prompt has no {question}, so the question would never be asked; drop one of the two")
        if self.examples and "examples" not in places:
            raise InputError("the prompt has no {examples}, so the examples would never be shown")
        if strange := [label for _, label in self.examples if label not in classes]:
            raise InputError(f"an example is labelled {strange[0]!r}, none of the classes {', '.join(classes)}")
        if self.question is None and self.codebook is not None and "question" in places:
            object.__setattr__(self, "question", self.codebook.question)
        object.__setattr__(self, "classes", classes)
        object.__setattr__(self, "words", words)

    @property
    def names(self) -> tuple[str, ...]:
        """The class names in order."""
        return tuple(self.classes or ())

    def describe(self) -> dict[str, object]:
        """Return what an annotator's description says of its prompt, ready for JSON."""
        about: dict[str, object] = {
            "classes": list(self.names),
            "question": self.question,
            "prompt": self.template,
            "class_words": dict(zip(self.names, self.words, strict=True)),
            "examples": [list(example) for example in self.examples],
        }
        return about if self.codebook is None else about | {"codebook": self.codebook.to_dict()}

    def around_text(self) -> tuple[str, str]:
        """Return the user's message before the text and after it."""
        before, after = self.template.split("{text}")
        return self.message(before), self.message(after)

    def answer_opening(self) -> str:
        """Return the opening, by default the question restated; a small model answers such a one better."""
        if self.opening is not None:
            return self.opening
        if "{question}" not in self.template:
            return OPENING
        words = "|".join(map(re.escape, self.words))
        pattern = rf"(is|are|was|were)\s+(.+?){_LINK}\s+(?:{words})\b"
        parts = re.match(pattern, self._question(), re.IGNORECASE | re.DOTALL)
        return f"{parts[2][0].upper()}{parts[2][1:]} {parts[1].lower()}{parts[3]}" if parts else OPENING

    def message(self, template: str) -> str:
        """Return another message of the user, with `{question}` and `{classes}` filled in."""
        filled = {"classes": self._choice(), "question": self._question(), "examples": self._examples()}
        if self.codebook is not None:
            filled["codebook"] = self.codebook.text(dict(zip(self.names, self.words, strict=True)))
        return _PLACE.sub(lambda place: filled[place[1]], template)

    def separator(self) -> str:
        """Return the white space between the opening and the class word."""
        opening = self.answer_opening()
        return opening[len(opening.rstrip()) :] or (" " if opening else "")

    def _check_codebook(self, places: Sequence[str]) -> None:
        assert self.codebook is not None
        if self.question is not None and self.codebook.question not in (None, self.question):
            raise InputError("the codebook has a question of its own: leave out the other one (--question)")
        if self.examples and self.codebook.has_examples:
            raise InputError("the codebook has examples of its own: leave out the others (--few-shot)")
        if "codebook" not in places:
            raise InputError("the prompt has no {codebook}, so the codebook would never be shown")

    def _question(self) -> str:
        return self.question if self.question is not None else f"Is this text {self._choice()}?"

    def _choice(self) -> str:
        pairs = zip(self.words, self.names, strict=True)  # a letter alone says nothing
        shown = [f"{word} ({name})" if word != name and _LETTER.fullmatch(word) else word for word, name in pairs]
        *first, last = shown
        return f"{', '.join(first)} or {last}"

    def _examples(self) -> str:
        word = dict(zip(self.names, self.words, strict=True))
        return "".join(f"Text: {text}\n{self.example_answer(word[label])}\n\n" for text, label in self.examples)

    def example_answer(self, word: str) -> str:
        """Return a whole answer, as an example shows it."""
        return self.answer_opening().rstrip() + self.separator() + word


def class_names(classes: Sequence[str] | None, codebook: Codebook | None) -> tuple[str, ...]:
    """Return the names of the classes in order, those of the codebook if there is one; InputError if they differ."""
    if isinstance(classes, str):
        raise InputError("classes is one string; give a list of at least two class names")
    names = tuple(map(str, () if classes is None else classes))
    if codebook is None:
        return names
    if names:
        codebook.check_classes(names, "the list of classes (--classes)")
    return tuple(codebook.class_names)


def with_codebook(template: str, codebook: Codebook | None, own: str) -> str:
    """Return a template with the codebook before the question, if it is silr's `own`; a user's stays as it is."""
    return "{codebook}\n\n" + template if codebook is not None and template == own else template
