"""Why there is no answer: errors about one text, refusals, errors that may pass, and answers that are cut off."""

from __future__ import annotations

from dataclasses import dataclass

from silr.annotators.api.refusals import Refusal
from silr.annotators.missing import Missing

LATER = "what was answered is kept, and the same command goes on from there"


class NoAnswerError(Exception):
    """No usable answer to a text, however often it was asked.

    It may hit all texts (`hits_all`), by default where the server fails.
    """

    def __init__(self, missing: Missing, words: str, hits_all: bool | None = None) -> None:
        super().__init__(words)
        self.missing = missing
        self.hits_all = missing is Missing.SERVER if hits_all is None else hits_all


class TextTooLongError(NoAnswerError):
    """A text that the server does not take; `share` is how much of the prompt it would take, if it says so."""

    def __init__(self, words: str, share: float | None) -> None:
        super().__init__(Missing.TOO_LONG, words)
        self.share = share


class RefusedError(Exception):
    """The server refuses a request."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.words)
        self.refusal = refusal


@dataclass(eq=False)
class PassingError(Exception):
    """No answer this time, in the words of the server or the connection."""

    words: str
    wait: float | None = None  # seconds that the server asks for
    unreachable: bool = False  # no connection came about; one that is cut or too slow is another thing
    timeout: bool = False
    unusable: bool = False  # the server said that all is well, and sent nothing of use
    daily: bool = False  # the day's quota is used up
    refusal: Refusal | None = None  # the response, if there was one
    redirected_to: str = ""  # the address that could not be reached, if the server redirects there

    def __str__(self) -> str:
        return self.words


def explain_cut_prompt(prompt_tokens: int, characters: int) -> str:
    """Say what to do where the server seems to cut prompts."""
    return (
        f"the server counts far fewer tokens in a long prompt than it has ({prompt_tokens:,} in {characters:,} "
        "characters): it seems to cut prompts without a word. Raise its context length (Ollama: num_ctx or "
        "OLLAMA_CONTEXT_LENGTH; llama.cpp: --ctx-size; vLLM: --max-model-len). Texts that it cuts get no label"
    )


def explain_cut_off(max_answer_tokens: int | None) -> str:
    """Say what to do where answers end before they name a class."""
    limit = "the server's limit" if max_answer_tokens is None else f"the limit of {max_answer_tokens:,}"
    return (
        f"{limit} of answer tokens cuts answers off before they name a class, while the model still thinks; raise "
        "--max-answer-tokens, or let it think less (another model, or the server's option for less reasoning). "
        "The answers are kept"
    )
