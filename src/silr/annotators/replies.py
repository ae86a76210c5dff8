"""Answers as servers send them: the text, its tokens' log-probabilities, and why there may be none."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from silr.annotators.missing import Missing

Place = tuple[str, tuple[tuple[str, float], ...]]
"""A token, and the likeliest ones at its place with their log-probabilities."""

_HIDDEN = ("thinking", "reasoning", "thought", "redacted_thinking", "reasoning_content", "summary")
_FILTERED = (
    *("content_filter", "content_filtered", "safety", "recitation", "blocklist", "prohibited_content", "spii"),
    *("guardrail_intervened", "sensitive", "flagged", "blocked"),
)
_CUT_OFF = ("length", "max_tokens", "model_length", "max_output_tokens", "model_context_window_exceeded")
_MARKS = {"\u2581": " ", "\u0120": " ", "\u010a": "\n"}  # how SentencePiece and byte-level vocabularies write space


@dataclass(frozen=True)
class Reply:
    """An answer.

    Attributes
    ----------
    text : str
    tokens : tuple of (str, tuple of (str, float))
        Each token and the likeliest ones at its place; empty if they did not come or cannot be read.
    missing : Missing or None
        Why the answer may name no class: declined, filtered, or ended by the limit of tokens.
    thought : bool
        Whether the model thought, apart from the answer.
    prompt_tokens, completion_tokens : int
        As the server counts them, 0 if it does not.
    """

    text: str
    tokens: tuple[Place, ...] = ()
    missing: Missing | None = None
    thought: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @classmethod
    def from_json(cls, known: Mapping[str, Any]) -> Reply:
        """Return what `to_json` gave."""
        tokens = tuple((text, tuple((near, value) for near, value in likeliest)) for text, likeliest in known["tokens"])
        missing = known.get("missing")
        counts = (known.get("prompt_tokens", 0), known.get("completion_tokens", 0))
        return cls(known["text"], tokens, Missing(missing) if missing else None, known.get("thought", False), *counts)

    def to_json(self) -> dict[str, Any]:
        """Return the reply ready for JSON."""
        return asdict(self)


class NoReplyError(Exception):
    """The response holds no answer. The message says what it holds."""


def parse_body(body: str) -> Any:
    """Return a response's JSON, also of one that comes in pieces although it was asked for whole.

    Raises
    ------
    NoReplyError
        It is none.
    """
    try:
        return json.loads(body)
    except ValueError:
        pass
    pieces = [line.removeprefix("data:").strip() for line in body.splitlines() if line.startswith("data:")]
    try:
        chunks = [json.loads(piece) for piece in pieces if piece and piece != "[DONE]"]
        return _joined(chunks)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        raise NoReplyError(f"a malformed answer: {' '.join(body.split())[:200]!r}") from None


def _joined(chunks: list[Any]) -> Any:
    """Put the pieces of a stream together."""
    text, finish, usage = "", None, None
    for chunk in chunks:
        usage = chunk.get("usage") or usage
        for choice in chunk.get("choices") or []:
            text += (choice.get("delta") or {}).get("content") or ""
            finish = choice.get("finish_reason") or finish
    if not chunks:
        raise ValueError
    if "error" in chunks[-1]:
        return chunks[-1]
    return {"choices": [{"message": {"content": text}, "finish_reason": finish}], "usage": usage}


def read_reply(value: Any) -> Reply:
    """Read a response's JSON.

    Raises
    ------
    NoReplyError
        There is no answer in it, and no reason that would come again.
    """
    choice = _choice(value)
    if choice is None:
        if _blocked(value):
            return Reply("", missing=Missing.FILTERED)
        raise NoReplyError(f"no answer but {json.dumps(value, ensure_ascii=False)[:200]}")
    message = choice.get("message") or choice.get("delta") or {}
    message = {"content": message} if isinstance(message, str) else message
    content = message.get("content") if message.get("content") is not None else choice.get("text")
    text, hidden = _text(content)
    text = text if text.strip() else _arguments(message)
    thoughts = next(
        (words for name in ("reasoning_content", "reasoning", "thinking") if (words := message.get(name))), ""
    )
    if not text.strip() and isinstance(thoughts, str) and "</think" in thoughts:
        text = thoughts  # the server took the answer for a thought
    finish = str(choice.get("finish_reason") or choice.get("done_reason") or "").lower()
    refusal = message.get("refusal")
    missing = None
    if refusal and isinstance(refusal, str):
        missing = Missing.REFUSED
    elif finish in _FILTERED or (not text.strip() and _blocked(choice)):
        missing = Missing.FILTERED
    elif finish == "refusal":
        missing = Missing.REFUSED
    elif finish in _CUT_OFF:
        missing = Missing.CUT_OFF
    thought = bool(thoughts or hidden)
    if not text.strip() and missing is None and not thought:
        raise NoReplyError("an empty answer")
    tokens = _tokens(choice.get("logprobs") or message.get("logprobs"), text)
    return Reply(text, tokens, missing, thought, *usage(value))


def _choice(value: Any) -> dict[str, Any] | None:
    if not isinstance(value, dict):
        return None
    choices = value.get("choices")
    if isinstance(choices, dict):
        choices = list(choices.values())
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return choices[0]
    return value if isinstance(value.get("message"), dict) else None


def _text(content: Any) -> tuple[str, bool]:
    """Return the text of a content, its parts joined without thoughts, and whether there were thoughts."""
    if isinstance(content, str):
        return content, False
    if isinstance(content, (int, float)):
        return str(content), False
    if isinstance(content, list):
        parts = [_text(part) for part in content]
        return "".join(text for text, _ in parts), any(hidden for _, hidden in parts)
    if isinstance(content, dict):
        if content.get("type") in _HIDDEN or content.get("thought") is True:
            return "", True
        inner = next((content[name] for name in ("text", "content", "value", "output_text") if name in content), None)
        return _text(inner)
    return "", False


def _arguments(message: dict[str, Any]) -> str:
    """Return the arguments of the functions that the model calls instead of an answer: objects of JSON, one a line."""
    calls = message.get("tool_calls")
    functions = [call.get("function") for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    given = [each.get("arguments") for each in (*functions, message.get("function_call")) if isinstance(each, dict)]
    return "\n".join(
        each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for each in given if each is not None
    )


def _blocked(value: Any) -> bool:
    """Whether a response says somewhere that something was filtered or blocked."""
    if isinstance(value, dict):
        if value.get("filtered") is True or value.get("blocked") is True:
            return True
        if any(value.get(name) for name in ("blockReason", "block_reason")):
            return True
        return any(_blocked(each) for each in value.values())
    return isinstance(value, list) and any(_blocked(each) for each in value)


def usage(value: Any) -> tuple[int, int]:
    """Return the tokens of prompt and answer as a response's JSON counts them, 0 where it does not."""
    counted = value.get("usage") if isinstance(value, dict) else None
    counted = counted if isinstance(counted, dict) else {}
    return _count(counted.get("prompt_tokens")), _count(counted.get("completion_tokens"))


def _count(value: Any) -> int:
    return int(value) if isinstance(value, (int, float)) and 0 <= value < 2**31 else 0


# --- log-probabilities ------------------------------------------------------------------------------------------------


def _tokens(logprobs: Any, text: str) -> tuple[Place, ...]:
    """Return the tokens of a text with the likeliest at each place, from any form that servers use.

    Ids in the place of texts, or anything else that cannot be read, give no tokens: the label counts without them.
    """
    try:
        entries = _entries(logprobs)
        places: tuple[Place, ...] = ()
        marked = any(mark in str(token.get("token")) and mark not in text for token, _ in entries for mark in _MARKS)
        for write in (_without_marks, _from_bytes) if marked else (_as_it_stands, _from_bytes):
            places = tuple((write(token), tuple((write(near), value) for near, value in top)) for token, top in entries)
            if text.strip() and text.strip() in "".join(token for token, _ in places):
                return places
        return places  # not quite the text; whoever reads them has to look
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        pass
    return ()


def _entries(logprobs: Any) -> list[tuple[dict[str, Any], list[tuple[dict[str, Any], float]]]]:
    """Return the places: each token, and the likeliest ones with their log-probabilities."""
    if isinstance(logprobs, list):
        content = logprobs
    elif isinstance(logprobs, dict) and logprobs.get("content"):
        content = logprobs["content"]
    elif isinstance(logprobs, dict) and logprobs.get("tokens"):  # as completions have them
        tokens, tops = logprobs["tokens"], logprobs.get("top_logprobs") or []
        tops = list(tops) + [None] * (len(tokens) - len(tops))
        content = [{"token": token, "top_logprobs": top} for token, top in zip(tokens, tops, strict=False)]
    else:
        return []
    return [(place, _likeliest(place.get("top_logprobs"))) for place in content]


def _likeliest(top: Any) -> list[tuple[dict[str, Any], float]]:
    """Return the likeliest tokens of a place. One alone says nothing of the others, so it counts as none."""
    if isinstance(top, dict):
        top = [{"token": token, "logprob": value} for token, value in top.items()]
    if not isinstance(top, list):
        return []
    found = []
    for near in top:
        near = {"token": near[0], "logprob": near[1]} if isinstance(near, (list, tuple)) else near
        value = near.get("logprob")
        value = value.get("logprob") if isinstance(value, dict) else value
        if value is not None and not math.isnan(number := float(value)):
            found.append((near, min(number, 0.0)))
    return found if len(found) > 1 else []


def _as_it_stands(token: dict[str, Any]) -> str:
    return str(token["token"])


def _from_bytes(token: dict[str, Any]) -> str:
    given = token.get("bytes")
    return bytes(given).decode("utf-8", "replace") if given else str(token["token"])


def _without_marks(token: dict[str, Any]) -> str:
    text = str(token["token"])
    for mark, plain in _MARKS.items():
        text = text.replace(mark, plain)
    return text
