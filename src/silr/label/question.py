"""What the LLM was asked, so that a person answers the same question."""

from __future__ import annotations

import json
from pathlib import Path

from silr.annotators.prompts import Prompt
from silr.io.corpus import annotator_path


def question_of(table: Path) -> str:
    """Return the question that `silr annotate` asked about the texts of a table; "" if no record of it is there.

    Where the answers were other words than the classes, these are told too. A record that cannot be read is none:
    labelling needs no question.
    """
    try:
        record = json.loads(annotator_path(table).read_text(encoding="utf-8"))
        words = record.get("class_words") or {}
        template = record.get("prompt") or "{question} {text}"
        prompt = Prompt(record["classes"], record.get("question"), template.replace("{examples}", ""), None, words)
        if "{question}" in template:
            asked = prompt.message("{question}")
        else:
            before, after = prompt.around_text()
            asked = f"{before.strip()} … {after.strip()}"
        other = [f"“{word}” is {name}" for name, word in words.items() if word != name]
        return " ".join(f"{asked} {'(' + ', '.join(other) + ')' if other else ''}".split())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""
