"""How many tokens a text has: counted by a tokenizer that is at hand, else estimated from its characters by script."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from operator import add, mul
from pathlib import Path

from silr.errors import InputError
from silr.extras import need_models

Messages = list[dict[str, str]]

GROUPS = {  # characters of a script; blanks, digits and signs are with those of ASCII
    "ASCII": r"",  # as in English
    "ASCII with accents": r"",  # in a text with accents, as in Polish: shorter tokens
    "Latin with accents": r"\u0080-\u024f\u1e00-\u1eff",
    "Greek": r"\u0370-\u03ff\u1f00-\u1fff",
    "Cyrillic": r"\u0400-\u052f",
    "Hebrew and Arabic": r"\u0590-\u07ff\u0860-\u08ff\ufb1d-\ufdff\ufe70-\ufeff",
    "Indic": r"\u0900-\u0dff",
    "Thai and others": r"\u0e00-\u10ff\u1200-\u137f\u1780-\u17ff",
    "Kana": r"\u3040-\u30ff",
    "Han": r"\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff",
    "Hangul": r"\u1100-\u11ff\u3130-\u318f\uac00-\ud7af",
}
_SCRIPTS = [re.compile(f"[{signs}]") for signs in GROUPS.values() if signs]
_FEW = 0.005  # accents a character, as of an English text with foreign names


def characters_by_script(text: str) -> list[int]:
    """Count the characters of each of the `GROUPS`."""
    if text.isascii():
        return [len(text), *[0] * (len(GROUPS) - 1)]
    others = [len(script.findall(text)) for script in _SCRIPTS]
    plain = sum(map(text.count, {sign for sign in text if sign < "\x80"}))
    accents = others[0] > _FEW * len(text)
    return [0 if accents else plain, plain if accents else 0, *others]


# --- estimated --------------------------------------------------------------------------------------------------------

# Tokens a character, the mean over the tokenizers of GPT-4, Claude, DeepSeek, Qwen and Mistral, and how far those are
# from it in languages of each script, as shares of the true number: benchmarks/characters_a_token.py.
TOKENS_A_CHARACTER = (0.245, 0.292, 1.117, 0.872, 0.483, 0.717, 0.971, 0.922, 0.819, 1.043, 1.156)
ERRORS = (0.15, 0.5, 0.5, 0.9, 0.35, 0.9, 0.9, 0.9, 0.4, 0.4, 0.4)
A_MESSAGE, A_CONVERSATION = 4, 3  # tokens of the marks around a message, and before the answer


class Estimate:
    """Counts tokens from characters, with the error that real tokenizers make of it.

    `exact` says whether the count is the tokenizer's own, and `words` how it is counted.
    """

    exact = False

    def __init__(self) -> None:
        self._seen = [0] * len(GROUPS)

    def __call__(self, conversations: Sequence[Messages]) -> int:
        """The tokens of conversations, together."""
        total = 0.0
        for messages in conversations:
            total += A_CONVERSATION + A_MESSAGE * len(messages)
            for line in (line for message in messages for line in message["content"].splitlines(keepends=True)):
                counts = characters_by_script(line)  # line by line: a prompt in English around a text in Polish
                total += sum(map(mul, counts, TOKENS_A_CHARACTER))
                self._seen = list(map(add, self._seen, counts))
        return round(total)

    @property
    def words(self) -> str:
        """How the tokens are counted."""
        parts = list(map(mul, self._seen, TOKENS_A_CHARACTER))
        error = sum(map(mul, parts, ERRORS)) / sum(parts) if any(parts) else ERRORS[0]
        return f"estimated from the characters, which is off by up to {error:.0%}; --tokenizer counts them"


def estimate(text: str) -> int:
    """The tokens of a text, about."""
    tokens: float = sum(map(mul, characters_by_script(text), TOKENS_A_CHARACTER))
    return max(1, round(tokens))


# --- counted ----------------------------------------------------------------------------------------------------------


class Counted:
    """Counts tokens with the model's tokenizer, inside its chat template if it has one."""

    exact = True

    def __init__(self, tokenizer: str) -> None:
        need_models("--tokenizer")
        from transformers import AutoTokenizer

        from silr.hf.models import explain_load_errors, silence_transformers

        with explain_load_errors(tokenizer), silence_transformers():
            self._tokenizer = AutoTokenizer.from_pretrained(tokenizer)
        self._has_template = bool(self._tokenizer.chat_template)
        self.words = f"counted by the tokenizer {Path(tokenizer).name}"
        if not self._has_template:
            self.words += ", with 4 for the marks around each message"

    def __call__(self, conversations: Sequence[Messages]) -> int:
        """The tokens of conversations, together."""
        tokenizer, marks = self._tokenizer, 0
        if self._has_template:
            render = partial(tokenizer.apply_chat_template, tokenize=False, add_generation_prompt=True)
            try:
                texts = [str(render(messages)) for messages in conversations]
            except Exception as error:  # a template is a program that came with the model and may raise anything
                raise InputError(f"the tokenizer's chat template fails on the prompt: {error}") from error
        else:
            texts = [message["content"] for messages in conversations for message in messages]
            marks = A_MESSAGE * len(texts) + A_CONVERSATION * len(conversations)
        ids = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
        return marks + sum(map(len, ids))


class OpenAiCounted:
    """Counts tokens with OpenAI's tiktoken; its vocabulary comes over the network once, unless it is there.

    A LookupError says that tiktoken or the vocabulary is not at hand, or does not know the model.
    """

    exact = True

    def __init__(self, model: str) -> None:
        try:
            import tiktoken  # type: ignore[import-not-found,unused-ignore]

            self._encoding = tiktoken.encoding_for_model(model)
        except Exception as error:  # not installed, not a model of theirs, or no way to the vocabulary
            raise LookupError(model) from error
        self.words = f"counted by tiktoken for {model}"

    def __call__(self, conversations: Sequence[Messages]) -> int:
        """The tokens of conversations, together."""
        contents = [message["content"] for messages in conversations for message in messages]
        marks = A_MESSAGE * len(contents) + A_CONVERSATION * len(conversations)
        return marks + sum(len(ids) for ids in self._encoding.encode_ordinary_batch(contents))


def counter_for(model: str, tokenizer: str | None) -> Estimate | Counted | OpenAiCounted:
    """What counts the tokens of prompts to a model behind a server."""
    if tokenizer is not None:
        return Counted(tokenizer)
    try:
        return OpenAiCounted(model)
    except LookupError:
        return Estimate()
