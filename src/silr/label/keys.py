"""The question that a person answers, and the keys of the classes: a class of one character itself, else its place."""

import json
import string
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from silr.annotators.prompts import Prompt
from silr.io.corpus import annotator_path

PLACES = "1234567890qwertyiopadfghjklxcbn"
TOOLS = {"undo": "u,<[", "skip": "s.>]", "stop": "z!}", "view": "v?{", "more": "m*&"}  # the first that is no class

CODEBOOK = "?/}@~"


def question_of(table: Path) -> str:
    """Return the question that `silr annotate` asked about the texts of a table; "" if no record of it is there.

    Where the answers were other words than the classes, these are told too. A record that cannot be read is none:
    labelling needs no question.
    """
    try:
        record = json.loads(annotator_path(table).read_text(encoding="utf-8"))
        words = record.get("class_words") or {}
        template = record.get("prompt") or "{question} {text}"
        for place in ("{examples}", "{codebook}"):
            template = template.replace(place, "")
        prompt = Prompt(record["classes"], record.get("question"), template, None, words)
        if "{question}" in template:
            asked = prompt.message("{question}")
        else:
            before, after = prompt.around_text()
            asked = f"{before.strip()} … {after.strip()}"
        other = [f"“{word}” is {name}" for name, word in words.items() if word != name]
        return " ".join(f"{asked} {'(' + ', '.join(other) + ')' if other else ''}".split())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""


def class_keys(classes: Sequence[str]) -> list[str]:
    """Return the key of each class; "" beyond the last.

    With the classes 0 and 1 the key 1 gives 1, though 0 has the first place. Where a digit is a class, no digit stands
    for the place of another class.
    """
    own = [_own_key(name) for name in classes]
    digits = any(key.isdigit() for key in own)
    taken = {key.casefold() for key in own}
    free = [key for key in PLACES if key not in taken and not (digits and key.isdigit())]
    for place, key in enumerate(own):
        if not key and free:
            own[place] = next((key for key in free if PLACES.index(key) >= place), free[0])
            free.remove(own[place])
    return own


def tool_keys(classes: Sequence[str]) -> dict[str, str]:
    """Return the keys of undo and skip, and of the terminal's stop, view and more; no class's own key is among them."""
    taken = {_own_key(name).casefold() for name in classes}
    return {name: next(key for key in keys if key not in taken) for name, keys in TOOLS.items()}


def codebook_key(classes: Sequence[str]) -> str:
    """Return the key that shows the codebook: the first that is neither a class's own nor a tool's."""
    taken = {_own_key(name).casefold() for name in classes} | set(tool_keys(classes).values())
    return next((key for key in CODEBOOK if key not in taken), "")


def class_of(pressed: str, keys: Sequence[str]) -> int | None:
    """Return the number of the class that a key gives; case counts only where classes differ by it."""
    folded = [key.casefold() for key in keys]
    if pressed and pressed in keys:
        return keys.index(pressed)
    return folded.index(pressed.casefold()) if pressed and pressed.casefold() in folded else None


def _own_key(name: str) -> str:
    """The class's name, if one key types it."""
    key = unicodedata.normalize("NFC", name.strip())
    typed = len(key) == 1 and (key.isalnum() or key in string.punctuation)
    return key if typed and unicodedata.east_asian_width(key) not in "WF" else ""
