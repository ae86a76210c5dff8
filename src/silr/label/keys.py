"""Which key gives which class: the class itself where it is one character, else its place."""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Sequence

PLACES = "1234567890qwertyiopadfghjklxcbn"
TOOLS = {"undo": "u,<[", "skip": "s.>]", "stop": "z!}", "view": "v?{", "more": "m*&"}  # the first that is no class


def class_keys(classes: Sequence[str]) -> list[str]:
    """Return the key of each class; "" beyond the last.

    With the classes 0 and 1 the key 1 gives 1, though 0 has the first place. Where a digit is a class, no digit stands
    for the place of another class.
    """
    own = [_own_key(name) for name in classes]
    digits = any(key.isdigit() for key in own)
    free = [key for key in PLACES if key not in {each.casefold() for each in own} and not (digits and key.isdigit())]
    found = []
    for place, key in enumerate(own):
        if not key and free:
            key = next((each for each in free if PLACES.index(each) >= place), free[0])
            free.remove(key)
        found.append(key)
    return found


def tool_keys(classes: Sequence[str]) -> dict[str, str]:
    """Return the keys of undo and skip, and of the terminal's stop, view and more; no class's own key is among them."""
    taken = {_own_key(name).casefold() for name in classes}
    return {name: next(key for key in keys if key not in taken) for name, keys in TOOLS.items()}


def class_of(pressed: str, keys: Sequence[str]) -> int | None:
    """Return the number of the class that a key gives; case counts only where classes differ by it."""
    for wanted, given in ((pressed, list(keys)), (pressed.casefold(), [key.casefold() for key in keys])):
        if wanted and wanted in given:
            return given.index(wanted)
    return None


def _own_key(name: str) -> str:
    """The class's name, if one key types it."""
    key = unicodedata.normalize("NFC", name.strip())
    typed = len(key) == 1 and (key.isalnum() or key in string.punctuation)
    return key if typed and unicodedata.east_asian_width(key) not in "WF" else ""
