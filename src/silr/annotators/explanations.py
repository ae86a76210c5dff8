"""What is said in one line of a failure that hits every request: the server's words, and what mends it."""

from __future__ import annotations

from silr.annotators.addresses import path_hint
from silr.annotators.exchange import Exchange
from silr.annotators.failures import LATER
from silr.annotators.refusals import Kind, Refusal


def explain(refusal: Refusal, kind: Kind, words: str, exchange: Exchange) -> str:
    """Say what hits every request."""
    told, server, proxy = f"({refusal.status}): {words}", exchange.server, exchange.proxy
    if kind is Kind.UNPAID:
        return f"the server wants to be paid first {told}; {LATER}"
    if kind is Kind.KEY:
        return f"the server refuses the request {told}; set OPENAI_API_KEY or SILR_API_KEY to a key of {server}"
    if kind is Kind.MODEL:
        return (
            f"the server refuses the request {told}; --model has to be the server's name for it, not {exchange.model!r}"
        )
    if kind is Kind.PATH:
        return f"{server} refuses the request {told}; {path_hint(exchange.url)}"
    if kind is Kind.PAGE:
        return f"{server} answers with a web page ({words!r}), not as an API; {path_hint(exchange.url)}"
    if kind is Kind.PROXY:
        return f"the proxy {f'{proxy} ' if proxy else ''}refuses the request {told}; see HTTPS_PROXY and NO_PROXY"
    return f"the server refuses the request {told}"


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
