"""Whether a server has cut a prompt without a word, by the tokens that it counts."""

from __future__ import annotations

import re
from collections.abc import Iterable

_LEAST_TOKENS = 256  # no server has a shorter context; less is no count
_LEAST_WORDS = 400
_TOKENS_A_WORD, _TOKENS_A_SIGN = 0.75, 0.4  # fewer than any tokenizer makes of natural texts
_SIGN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]")
_WORD = re.compile(r"\w+")


def seems_cut(contents: Iterable[str], prompt_tokens: int) -> bool:
    """Whether so few tokens cannot be all of the messages.

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
