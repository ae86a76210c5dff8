"""What the prompt says where more than the label is wanted: a confidence, a reason."""

from __future__ import annotations

import json
from collections.abc import Sequence

from silr.errors import InputError

CONFIDENCES = ("said",)
_ONLY = "Answer with {classes}, and nothing else."
_ASSUMED = {"confidence": 90, "reason": "The text says so in plain words, and nothing in it speaks against that label."}
_EXPLAINED = {
    "confidence": "The confidence is a number from 0 to 100: how sure you are that the label is right.",
    "reason": "The reason is one short sentence, two at most: what in the text decides.",
}


def wanted_beside(confidence: str | None, explain: bool) -> tuple[str, ...]:
    """Names of what is asked for beside the label."""
    if confidence is not None and confidence not in CONFIDENCES:
        raise InputError(f"--confidence takes the word {' or '.join(CONFIDENCES)}, not {confidence!r}")
    return ("confidence",) * (confidence is not None) + ("reason",) * explain


def template_for(template: str, said: Sequence[str]) -> str:
    """A prompt without the words that forbid what is asked for beside the label."""
    return template.replace(_ONLY, "The answer is {classes}.") if said else template


def instruction(words: Sequence[str], said: Sequence[str]) -> str:
    """The end of a message that asks for more than the label; "" where nothing more is wanted.

    The label comes first, so that neither the confidence nor the reason changes it or its log-probabilities.
    """
    if not said:
        return ""
    fields = ", ".join(f'"{name}": ...' for name in ("label", *said))
    labels = " or ".join(json.dumps(word, ensure_ascii=False) for word in words)
    lines = [f"Answer with one object of JSON, and nothing else: {{{fields}}}", f"The label is {labels}."]
    return "\n\n" + "\n".join(lines + [_EXPLAINED[name] for name in said])


def assumed_answers(words: Sequence[str], said: Sequence[str], is_structured: bool) -> list[str]:
    """Answers as long as those that are to be expected, one for each word."""
    if not (said or is_structured):
        return list(words)
    beside = {name: _ASSUMED[name] for name in said}
    return [json.dumps({"label": word, **beside}, ensure_ascii=False) for word in words]
