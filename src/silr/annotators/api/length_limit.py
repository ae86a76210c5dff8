"""How long a text may be: the numbers in a server's refusal of a longer one, and the tokens that it counts."""

import re
from collections.abc import Iterable

_LEAST = 64  # a smaller number is no limit of a prompt
_NUMBER = r"(\d[\d,]*)(?![\d.]*[a-z])"
_PATTERNS = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"n_ctx\W{{0,5}}{_NUMBER}",
        rf"context[ _-]?(?:length|size|window)(?: of| is| limit|[:= (])[^0-9]{{0,30}}{_NUMBER}",
        r"(?:<=|≤|limit(?: for [\w ]+)?(?: of| is|:)?|maximum[^0-9]{0,60}|\bmax[^0-9]{0,40}|less than|fewer than"
        r"|at most|up to|no more than|allowed[^0-9]{0,20}|supports?[^0-9]{0,20}|should be \[\d+, ?)[^0-9]{0,10}"
        + _NUMBER,
        r"> ?(\d[\d,]*) ?(?:tokens )?(?:maximum|max|limit)",
        r"(\d[\d,]*) ?(?:tokens? )?(?:maximum|max|limit|context)",
    )
]
_SENT = re.compile(r"n_prompt_tokens\W{0,5}(\d+)", re.IGNORECASE)
_ALONE = re.compile(r"(?<![\w.])\d[\d,]*(?![\w.]*\w)")


def length_limit(words: str, everything: str = "") -> int | None:
    """Return how many tokens or characters the server takes at most, by what it says; None if it does not.

    `everything` has, beside the `words`, names and numbers that stand around them.
    """
    for pattern in _PATTERNS:
        for match in pattern.finditer(everything if "n_ctx" in pattern.pattern else words):
            if (number := _integer(match[1])) >= _LEAST:
                return number
    return None


def share_that_fits(words: str, everything: str = "") -> float | None:
    """Return the limit as a share of what was sent, by the numbers that are named; None if only one or none is.

    Of several numbers above the limit the largest is what was sent. Where no words tell which is which, the two
    largest are limit and length.
    """
    numbers = [_integer(digits) for digits in (*_ALONE.findall(words), *_SENT.findall(everything))]
    limit = length_limit(words, everything)
    if limit is None:
        distinct = sorted({number for number in numbers if number >= _LEAST})
        return distinct[-2] / distinct[-1] if len(distinct) > 1 else None
    sent = max((number for number in numbers if number > limit), default=None)
    return limit / sent if sent else None


def _integer(digits: str) -> int:
    return int(digits.replace(",", ""))


# --- prompts that a server cuts without a word ------------------------------------------------------------------------

_LEAST_TOKENS = 256  # no server has a shorter context; less is no count
_LEAST_WORDS = 400
_TOKENS_A_WORD, _TOKENS_A_SIGN = 0.75, 0.4  # fewer than any tokenizer makes of natural texts
_SIGN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]")
_WORD = re.compile(r"\w+")


def seems_cut(contents: Iterable[str], prompt_tokens: int) -> bool:
    """Whether so few tokens, as the server counts them, cannot be all of the messages.

    Tokenizers put no two words together, and no more than two or three signs of a script without spaces.
    """
    if prompt_tokens < _LEAST_TOKENS:
        return False
    text = "\n".join(contents)
    if len(text) < prompt_tokens:
        return False
    signs = len(_SIGN.findall(text))
    words = len(_WORD.findall(_SIGN.sub(" ", text)))
    return words + signs >= _LEAST_WORDS and prompt_tokens < _TOKENS_A_WORD * words + _TOKENS_A_SIGN * signs
