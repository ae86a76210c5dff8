"""Responses that are no answers: about one text, about all, or passing by themselves."""

import email.utils
import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto

from silr.annotators.api.length_limit import length_limit, share_that_fits

_ANOTHER_LIMIT = 3.0  # times the prompt: a limit so far above it is of something else
_LONGEST = 300  # characters of the server's words that are repeated


class Kind(Enum):
    """Whom a refusal concerns."""

    TOO_LONG = auto()
    FILTERED = auto()
    REFUSED = auto()
    UNCLEAR = auto()  # one text or a parameter, as it seems
    PASSING = auto()
    DAILY = auto()  # the day's quota is used up
    UNPAID = auto()
    KEY = auto()
    MODEL = auto()
    PATH = auto()
    PAGE = auto()  # a page for people
    PROXY = auto()


def _pattern(*parts: str) -> re.Pattern[str]:
    return re.compile("|".join(parts), re.IGNORECASE | re.DOTALL)


_TOO_LONG = _pattern(
    r"context[ _-]?(length|size|window|limit)",
    r"max_model_len|n_ctx\b|max_input_tokens|max_total_tokens",
    r"\b(prompt|inputs?|messages?|text|content|requests?|sequence|string|payload|entity|body|query|conversation)\b"
    r"['\"\]\[0-9.a-z]{0,20}.{0,60}?\b(too (long|large|big|many)|exceed|longer than|over the limit|above the limit)",
    r"(?<!took )\btoo long\b|too many (input |prompt )?tokens|too (long|large) for (the |this )?model",
    r"reduce (the |your )?(length|prompt|input|size|number)",
    r"(token (count|limit)|number of tokens|tokens? in).{0,60}exceed",
    r"exceed\w*.{0,60}(token|length|context|characters|input)",
    r"(maximum|max) (allowed )?(input|prompt|sequence|message)",
    r"\b(inputs?(?! should)|prompt|tokens?)\b.{0,80}(<=|≤|less than|fewer than|at most|up to|no more than) *\d",
    r"input length|(entity|request|payload) too large|above_max_length|string too long",
    r"过长|超过.{0,12}(长度|限制|上限)|长度.{0,6}超",
)
_ANSWER_LIMIT = _pattern(
    r"max_(completion_|output_|new_)?tokens.{0,60}(too large|at most|must be|exceed|less than|minimum|maximum)"
)
_OF_THE_PROMPT = _pattern(r"\b(prompt|inputs?|context|messages?)\b")
_FILTERED = _pattern(
    r"content[ _-]?filter|content[ _-]?management|guardrail|(response|prompt|input|output) was filtered"
)
_REFUSED = _pattern(
    r"content[ _-]?(policy|moderation|safety|violation|exists risk)|data.?inspection|inappropriate|moderat|flagged",
    r"safety|prohibited|harmful|offensive|unsafe|(?<!case)[ -]sensitive|responsible.?ai|(usage|acceptable).{0,8}polic",
    r"violat|rejected as a result|blocked by|敏感|违规|不安全|审核|不合规",
)
_DAILY = _pattern(r"per[ _-]?day|daily|\b[rt]pd\b|free-models-per-day|24 ?h(ours)?\b")
_UNPAID = _pattern(
    r"insufficient[ _-]?(\w+ )?(quota|credit|balance|fund)|(out of|no|not enough|enough|more) (credits?|balance)\b",
    r"payment required|billing (hard )?limit|billing.{0,20}not active|arrearage|overdue|credit balance is too low",
    r"余额不足|欠费",
)
_KEY = _pattern(
    r"(api|access|secret)[ _-]?key|unauthori[sz]ed|authenticat|invalid (auth )?token|(bearer|access) token|credentials"
)
_MODEL = _pattern(
    r"model.{0,80}(not (found|exist|loaded|available|deployed|served)|n.t exist|unknown|no longer|decommission)",
    r"(unknown|invalid|no such|not a valid|unrecogni[sz]ed) model|no models? (is |are )?(loaded|available)",
    r"model_not_found|not a valid model|try pulling|deployment.{0,40}does not exist",
)
_PROXY = _pattern(r"x-squid-error|^proxy-|\bsquid\b|zscaler|bluecoat|forcepoint|mcafee web gateway|\bproxy\b")
_DURATION = re.compile(
    r"(?:again|retry|wait|reset\w*|retrydelay)[^0-9]{0,20}((?:\d+(?:\.\d+)?\s*"
    r"(?:ms|milliseconds?|h|hours?|m|min|minutes?|s|sec|seconds?)\b[\s,and]*)+|(?:\d+(?:\.\d+)?[hms])+)",
    re.IGNORECASE,
)
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|milli|h|m|s)", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "milli": 0.001, "h": 3600.0, "m": 60.0, "s": 1.0}
_STATUSES = (  # of an error that came with status 200, by its words
    (402, _UNPAID),
    (429, _pattern("rate.?limit|too many requests|overloaded")),
    (400, _pattern(_TOO_LONG.pattern, _FILTERED.pattern, _REFUSED.pattern)),
    (401, _KEY),
    (404, _MODEL),
    (400, _pattern("invalid_request|bad.?request|validation")),
)


@dataclass(frozen=True)
class Refusal:
    """A response that is no answer."""

    status: int  # of HTTP, or what an error that came as an answer says itself
    words: str  # the server's, in one line
    everything: str  # all that it sent, to look for words in
    wait: float | None = None  # seconds after which it wants to be asked again
    page: bool = False  # a page for people
    by_proxy: bool = False  # a proxy seems to have sent it

    @property
    def kind(self) -> Kind:
        """Whom it concerns."""
        status, words = self.status, self.everything
        if status == 407 or self.by_proxy:
            return Kind.PROXY
        if status == 402 or (status in (400, 403, 429) and _UNPAID.search(words)):
            return Kind.UNPAID
        if status == 401 or (status in (400, 403, 422) and _KEY.search(words) and not _REFUSED.search(words)):
            return Kind.KEY
        if self._too_long():
            return Kind.TOO_LONG
        if status == 429:
            return Kind.DAILY if _DAILY.search(words) else Kind.PASSING
        if status in (400, 403, 406, 422, 451):
            if _FILTERED.search(words):
                return Kind.FILTERED
            if _REFUSED.search(words) or status == 451:
                return Kind.REFUSED
        if status in (400, 403, 404, 410, 422) and _MODEL.search(words):
            return Kind.MODEL
        if status == 404 and "requested parameters" in words:  # OpenRouter, of what no provider takes
            return Kind.UNCLEAR
        if status in (404, 405, 410) or 300 <= status < 400:
            return Kind.PATH
        if status in (408, 409, 425) or (status >= 500 and status not in (501, 505)):
            return Kind.PASSING
        return Kind.PAGE if status < 300 else Kind.UNCLEAR

    def _too_long(self) -> bool:
        if self.status == 429:
            return bool(re.search(r"request too large|too large for", self.everything, re.IGNORECASE))
        if self.status not in (400, 422, 431, 500, 501):
            return self.status in (413, 414)
        of_answer = _ANSWER_LIMIT.search(self.words) and not _OF_THE_PROMPT.search(self.words)
        return not of_answer and bool(_TOO_LONG.search(self.everything))

    def limit(self) -> int | None:
        """How many tokens or characters the server takes at most, if it says so."""
        return length_limit(self.words, self.everything)

    def share_of(self, characters: int, characters_a_token: float) -> float | None:
        """Share of so many characters that the server would take, None if it does not say."""
        share, limit = self.fits(), self.limit()
        if share is None and limit is not None:
            share = limit * characters_a_token / characters
        return None if share is None or share > _ANOTHER_LIMIT else min(share, 0.9)

    def fits(self) -> float | None:
        """Share of what was sent that the server would take, by the numbers that it names; None if it names none."""
        return share_that_fits(self.words, self.everything)


def read_refusal(status: int, headers: Mapping[str, str], body: str, proxy: str | None = None) -> Refusal:
    """Read a response that is no answer; `proxy` is what is between, if anything is."""
    headers = {name.lower(): value for name, value in headers.items()}
    value: object = None
    with suppress(ValueError):
        value = json.loads(body)
    is_html = "html" in headers.get("content-type", "") or bool(re.match(r"\s*<(!doctype|html)", body, re.I))
    page = value is None and is_html
    if value is None:
        messages, everything = [_plain(body)], body
    else:
        messages, everything = list(dict.fromkeys(_strings(value, names=_SAYING))), " ".join(_strings(value))
        status = status if status >= 400 else _status(value)
    lines = [" ".join(message.split()) for message in messages if message.strip()]
    words = "; ".join(line for line in lines if not any(line != other and line in other for other in lines))
    marked = "via" in headers or any(map(_PROXY.search, [*(": ".join(header) for header in headers.items()), body]))
    by_proxy = status == 407 or bool(proxy and (page or not body.strip()) and marked)
    wait = asked_wait(headers, everything)
    return Refusal(status, words[:_LONGEST] or f"status {status}", everything, wait, page, by_proxy)


def asked_wait(headers: Mapping[str, str], words: str) -> float | None:
    """Seconds that a response asks for, in its headers or its words ("try again in 7m12s"); None if it does not."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    if (seconds := _header(headers)) is not None:
        return seconds
    if (asked := _DURATION.search(words)) is None:
        return None
    return sum(float(number) * _SECONDS[unit.lower()] for number, unit in _PART.findall(asked[1]))


def _header(headers: Mapping[str, str]) -> float | None:
    """Read a Retry-After header: seconds, or a date, which goes by the server's clock, as its Date header does."""
    value = headers.get("retry-after")
    if (seconds := _number(value)) is None and (until := _date(value)) is not None:
        now = _date(headers.get("date"))
        seconds = until - (time.time() if now is None else now)
    return None if seconds is None else max(seconds, 0.0)


def _date(value: str | None) -> float | None:
    """Seconds since 1970; None of what is no date."""
    with suppress(TypeError, ValueError, OverflowError):
        return email.utils.parsedate_to_datetime(value or "").timestamp()
    return None


def _number(value: str | None) -> float | None:
    with suppress(ValueError):
        if (number := float(value or "")) < float("inf"):
            return number
    return None


def is_error(value: object) -> bool:
    """Whether JSON that came with status 200 is an error all the same."""
    if not isinstance(value, dict):
        return not (value is None or isinstance(value, list))
    choices = value.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return bool(choices[0].get("error")) and not choices[0].get("message", {}).get("content")
    if choices or isinstance(value.get("message"), dict):
        return False
    return bool(value.get("error") or value.get("detail") or value.get("message") or value.get("object") == "error")


_SAYING = ("message", "msg", "detail", "error", "errors", "error_description", "title", "reason", "description", "raw")


def _strings(value: object, names: tuple[str, ...] | None = None) -> Iterator[str]:
    """Yield the strings of JSON, depth first: all of them, or what stands under some names."""
    if isinstance(value, str):
        inner = _inner(value)
        if inner is None:
            yield value
        else:
            yield from _strings(inner, names)
    elif isinstance(value, list):
        for entry in value:
            yield from _strings(entry, names)
    elif isinstance(value, dict) and names is not None and "loc" in value and "msg" in value:  # as pydantic writes them
        place = value["loc"] if isinstance(value["loc"], list) else [value["loc"]]
        yield f"{'.'.join(map(str, place))}: {value['msg']}"
    elif isinstance(value, dict):
        for name, entry in value.items():
            if names is None:
                yield str(name)
            if names is None or name in names or isinstance(entry, (dict, list)):
                yield from _strings(entry, names)
    elif names is None and value is not None:
        yield str(value)


def _inner(text: str) -> object:
    """Return the error that one server repeats of another, as JSON in a string."""
    if text.lstrip().startswith(("{", "[")):
        with suppress(ValueError):
            return json.loads(text)  # an object or a list, as it begins like one
    return None


def _status(value: object) -> int:
    """Return the status that an error with status 200 means."""
    for code in _codes(value):
        if code.isdigit() and 400 <= int(code) < 600:
            return int(code)
    words = " ".join(_strings(value))
    rules = _STATUSES if isinstance(value, dict) else [rule for rule in _STATUSES if rule[1] not in (_KEY, _MODEL)]
    return next((status for status, pattern in rules if pattern.search(words)), 500)


def _codes(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name in ("code", "status", "status_code"):
            if isinstance(value.get(name), (int, str)):
                yield str(value[name])
    entries = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for entry in entries:
        yield from _codes(entry)


def _plain(body: str) -> str:
    """Return what a page says: its title, else its words without tags."""
    title = re.search(r"<title[^>]*>(.*?)</title>", body, re.IGNORECASE | re.DOTALL)
    if title and title[1].strip():
        body = title[1]
    else:
        body = re.sub(r"<(script|style).*?</\1>|<[^>]*>", " ", body, flags=re.I | re.S)
    return " ".join(body.split())
