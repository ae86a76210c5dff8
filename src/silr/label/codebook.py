"""The codebook on the labelling page and in the terminal, with the keys of the classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from silr.label.keys import class_keys, codebook_key, question_of

if TYPE_CHECKING:
    from silr.label.gold_table import GoldTable


def question_for(table: GoldTable) -> str:
    """What the person is asked: the codebook's question, else what the LLM was asked."""
    book = table.codebook
    return book.question if book is not None and book.question else question_of(table.table)


def panel(table: GoldTable) -> dict[str, Any]:
    """The codebook for the page, ready for JSON: its key, and each class with its key and its entries."""
    if table.codebook is None:
        return {"key": "", "classes": []}
    keys = _keys(table)
    classes = [
        {"name": each.name, "key": keys.get(each.name, ""), "entries": each.entries} for each in table.codebook.classes
    ]
    return {"key": codebook_key(table.classes), "classes": classes}


def plain_text(table: GoldTable) -> str:
    """The codebook for the terminal, the keys before the names; "" without one."""
    if table.codebook is None:
        return ""
    keys = _keys(table)
    names = table.codebook.class_names
    return "\n\n".join(table.codebook.blocks({name: f"{keys.get(name, '')} {name}".strip() for name in names}))


def _keys(table: GoldTable) -> dict[str, str]:
    assert table.codebook is not None
    keys = class_keys(table.classes)
    place = {name: table.code(name) for name in table.codebook.class_names}
    return {name: keys[code] for name, code in place.items() if code >= 0}
