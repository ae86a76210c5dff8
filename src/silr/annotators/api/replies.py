"""Answers as servers send them: the text, its tokens' log-probabilities, and why there may be none."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from silr.annotators.answers.reading import Token
from silr.annotators.missing import Missing
from silr.annotators.provenance import UNKNOWN, Snapshot

Object = dict[str, Any]
"""An object of JSON."""

_LONGEST_NAME = 200
_HIDDEN = ("thinking", "reasoning", "thought", "redacted_thinking", "reasoning_content", "summary")
_FILTERED = (
    *("content_filter", "content_filtered", "safety", "recitation", "blocklist", "prohibited_content", "spii"),
    *("guardrail_intervened", "sensitive", "flagged", "blocked"),
)
_CUT_OFF = ("length", "max_tokens", "model_length", "max_output_tokens", "model_context_window_exceeded")
# how SentencePiece and byte-level vocabularies write space
_MARKS = str.maketrans({"\u2581": " ", "\u0120": " ", "\u010a": "\n"})


@dataclass(frozen=True)
class Reply:
    """An answer."""

    text: str
    tokens: tuple[Token, ...] = ()  # empty if they did not come or cannot be read
    missing: Missing | None = None  # why the answer may name no class: declined, filtered, or cut off
    thought: bool = False  # the model thought, apart from the answer
    prompt_tokens: int = 0  # as the server counts them, 0 if it does not
    completion_tokens: int = 0
    snapshot: Snapshot = UNKNOWN
    asked: float = 0.0  # seconds since 1970; 0 where an older cache does not say
    left_out: tuple[str, ...] = ()  # parameters that the server did not take
    batched: bool = False  # it came with a batch, at the price of batches

    @classmethod
    def from_json(cls, fields: Object) -> Reply:
        """Return what `to_json` gave."""
        tokens = tuple(Token(token, tuple(map(tuple, likeliest))) for token, likeliest in fields["tokens"])
        missing = Missing(fields["missing"]) if fields.get("missing") else None
        snapshot, left_out = Snapshot(*fields.get("snapshot", ())), tuple(fields.get("left_out", ()))
        return cls(**{**fields, "tokens": tokens, "missing": missing, "snapshot": snapshot, "left_out": left_out})

    def to_json(self) -> Object:
        """Return the reply ready for JSON."""
        return dict(vars(self))


class NoReplyError(Exception):
    """The response holds no answer. The message says what it holds."""


def parse_body(body: str) -> object:
    """Return a response's JSON, also of one that comes in pieces although it was asked for whole."""
    with suppress(ValueError):
        return json.loads(body)
    pieces = [line.removeprefix("data:").strip() for line in body.splitlines() if line.startswith("data:")]
    try:
        chunks = [json.loads(piece) for piece in pieces if piece and piece != "[DONE]"]
        return _joined(chunks)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        raise NoReplyError(f"a malformed answer: {' '.join(body.split())[:200]!r}") from None


def _joined(chunks: list[Object]) -> Object:
    """Put the pieces of a stream together."""
    text, finish, usage = "", None, None
    about: Object = {}
    for chunk in chunks:
        usage = chunk.get("usage") or usage
        about |= {name: chunk[name] for name in ("model", "system_fingerprint", "provider") if chunk.get(name)}
        for choice in chunk.get("choices") or []:
            text += (choice.get("delta") or {}).get("content") or ""
            finish = choice.get("finish_reason") or finish
    if not chunks:
        raise ValueError
    if "error" in chunks[-1]:
        return chunks[-1]
    return {**about, "choices": [{"message": {"content": text}, "finish_reason": finish}], "usage": usage}


def read_reply(value: object) -> Reply:
    """Read a response's JSON; a `NoReplyError` if it has no answer, and no reason that would come again."""
    choice = _choice(value)
    if choice is None:
        if _blocked(value):
            return Reply("", missing=Missing.FILTERED, snapshot=_snapshot(value))
        raise NoReplyError(f"no answer but {json.dumps(value, ensure_ascii=False)[:200]}")
    message = choice.get("message") or choice.get("delta") or {}
    message = {"content": message} if isinstance(message, str) else message
    content = message.get("content") if message.get("content") is not None else choice.get("text")
    text, hidden = _text(content)
    text = text if text.strip() else _arguments(message)
    thoughts = next(filter(None, map(message.get, ("reasoning_content", "reasoning", "thinking"))), "")
    if not text.strip() and isinstance(thoughts, str) and "</think" in thoughts:
        text = thoughts  # the server took the answer for a thought
    missing, thought = _why_missing(choice, message, text), bool(thoughts or hidden)
    if not text.strip() and missing is None and not thought:
        raise NoReplyError("an empty answer")
    tokens = _tokens(choice.get("logprobs") or message.get("logprobs"), text)
    return Reply(text, tokens, missing, thought, *usage(value), _snapshot(value))


def _snapshot(value: object) -> Snapshot:
    """What the response says of the model."""
    named = value if isinstance(value, dict) else {}
    said = [named.get(name) for name in ("model", "system_fingerprint", "provider")]
    return Snapshot(*(word[:_LONGEST_NAME] if isinstance(word, str) else "" for word in said))


def _why_missing(choice: Object, message: Object, text: str) -> Missing | None:
    """Why an answer may name no class, by what stands beside it."""
    finish = str(choice.get("finish_reason") or choice.get("done_reason") or "").lower()
    if message.get("refusal") and isinstance(message["refusal"], str):
        return Missing.REFUSED
    if finish in _FILTERED or (not text.strip() and _blocked(choice)):
        return Missing.FILTERED
    return Missing.REFUSED if finish == "refusal" else Missing.CUT_OFF if finish in _CUT_OFF else None


def _choice(value: object) -> Object | None:
    if not isinstance(value, dict):
        return None
    choices = value.get("choices")
    if isinstance(choices, dict):
        choices = list(choices.values())
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return choices[0]
    return value if isinstance(value.get("message"), dict) else None


def _text(content: object) -> tuple[str, bool]:
    """Return the text of a content, its parts joined without thoughts, and whether there were thoughts."""
    if isinstance(content, (str, int, float)):
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


def _arguments(message: Object) -> str:
    """Return the arguments of the functions that the model calls instead of an answer: objects of JSON, one a line."""
    calls = message.get("tool_calls")
    calls = [call.get("function") for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    functions = [call for call in (*calls, message.get("function_call")) if isinstance(call, dict)]
    arguments = [function["arguments"] for function in functions if function.get("arguments") is not None]
    return "\n".join(text if isinstance(text, str) else json.dumps(text, ensure_ascii=False) for text in arguments)


def _blocked(value: object) -> bool:
    """Whether a response says somewhere that something was filtered or blocked."""
    if isinstance(value, dict):
        is_blocked = value.get("filtered") is True or value.get("blocked") is True
        is_blocked |= bool(value.get("blockReason") or value.get("block_reason"))
        return is_blocked or any(map(_blocked, value.values()))
    return isinstance(value, list) and any(map(_blocked, value))


def usage(value: object) -> tuple[int, int]:
    """Return the tokens of prompt and answer as a response's JSON counts them, 0 where it does not.

    Gemini and others have thoughts in `total_tokens` alone, and charge them as parts of the answer.
    """
    counted = value.get("usage") if isinstance(value, dict) else None
    counted = counted if isinstance(counted, dict) else {}
    prompt, completion, total = (_count(counted.get(f"{name}_tokens")) for name in ("prompt", "completion", "total"))
    return prompt, max(completion, total - prompt) if prompt else completion


def cached_prompt_tokens(value: object) -> int:
    """Return the tokens of the prompt that the server had read lately, and mostly charges less for."""
    counted = value.get("usage") if isinstance(value, dict) else None
    details = counted.get("prompt_tokens_details") if isinstance(counted, dict) else None
    return _count(details.get("cached_tokens")) if isinstance(details, dict) else 0


def _count(value: object) -> int:
    return int(value) if isinstance(value, (int, float)) and 0 <= value < 2**31 else 0


# --- log-probabilities ------------------------------------------------------------------------------------------------


def _tokens(logprobs: object, text: str) -> tuple[Token, ...]:
    """Return the tokens of a text with the likeliest at each place, from any form that servers use.

    Ids in the place of texts, or anything else that cannot be read, give no tokens: the label counts without them.
    """
    tokens: tuple[Token, ...] = ()
    if not logprobs:
        return tokens
    with suppress(AttributeError, IndexError, KeyError, TypeError, ValueError):
        entries = [(place, _likeliest(place.get("top_logprobs"))) for place in _entries(logprobs)]
        words = "".join(str(token.get("token")) for token, _ in entries)
        marked = any(mark in words and mark not in text for mark in map(chr, _MARKS))
        for write in (lambda token: str(token["token"]).translate(_MARKS if marked else {}), _from_bytes):
            written = tuple(Token(write(token), tuple((write(near), p) for near, p in top)) for token, top in entries)
            if text.strip() and text.strip() in "".join(token.text for token in written):
                return written
        tokens = written  # not quite the text; whoever reads them has to look
    return tokens


def _entries(logprobs: object) -> list[Object]:
    """Return what is said of each place; completions have the tokens and the likeliest ones in two lists."""
    if not isinstance(logprobs, dict):
        return logprobs if isinstance(logprobs, list) else []
    if logprobs.get("content"):
        return list(logprobs["content"])
    tokens, tops = logprobs.get("tokens") or [], list(logprobs.get("top_logprobs") or [])
    return [{"token": token, "top_logprobs": top} for token, top in zip_longest(tokens, tops[: len(tokens)])]


def _likeliest(top: object) -> list[tuple[Object, float]]:
    """Return the likeliest tokens of a place. One alone says nothing of the others, so it counts as none."""
    pairs = list(top.items()) if isinstance(top, dict) else top if isinstance(top, list) else []
    likeliest = []
    for near in pairs:
        token = {"token": near[0], "logprob": near[1]} if isinstance(near, (list, tuple)) else near
        value = token.get("logprob")
        value = value.get("logprob") if isinstance(value, dict) else value
        if value is not None and not math.isnan(number := float(value)):
            likeliest.append((token, min(number, 0.0)))
    return likeliest if len(likeliest) > 1 else []


def _from_bytes(token: Object) -> str:
    return bytes(token["bytes"]).decode("utf-8", "replace") if token.get("bytes") else str(token["token"])
