"""Self-refinement of generated text: a revise step guided by a classifier, against the LLM's own critique.

Self-Refine (Madaan et al., NeurIPS 2023): answer, feedback by the same model, refined answer. All ways may generate the
same number of tokens a prompt: four completions, or two drafts and two revisions, or a draft, a critique as long as two
completions, and a revision.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from align_tasks import Task
from silr.align.generate import Completion, sample

BUDGET = 4  # completions a prompt

Write = Callable[[Sequence[Sequence[int]], int], list[Completion]]


def writer(network: Any, tokenizer: Any, length: int, seed: int) -> Write:
    """Return what samples completions of tokens, of at most so many times the length."""
    calls = 0

    def write(prompts: Sequence[Sequence[int]], times: int) -> list[Completion]:
        nonlocal calls
        calls += 1
        options = {"max_new_tokens": times * length, "temperature": 1.0, "seed": seed * 1_000 + calls}
        return sample(network, tokenizer, prompts, **options)

    return write


def guided(write: Write, tokenizer: Any, task: Task, prompts: list[str], score: Callable[..., Any]) -> Any:
    """Two drafts; the one that the classifier likes better is revised twice, with its verdict; the best of all four."""
    found = [_drafts(write, tokenizer, prompts) for _ in range(2)]
    best = _best(prompts, found, score)
    texts = [prompt + each.text for prompt, each in zip(prompts, best, strict=True)]
    verdicts = score(texts)
    asked = [
        f"This {task.kind} is {p:.0%} {task.goal}:\n\n{text}\n\nRewrite it so that it is {task.goal}."
        for text, p in zip(texts, verdicts, strict=True)
    ]
    ids = [_chat(tokenizer, [words], prompt) for words, prompt in zip(asked, prompts, strict=True)]
    found += [write(ids, 1) for _ in range(2)]
    return _best(prompts, found, score), _tokens(found)


def self_refine(write: Write, tokenizer: Any, task: Task, prompts: list[str]) -> Any:
    """A draft, the model's own critique, and the revision that follows it."""
    drafts = _drafts(write, tokenizer, prompts)
    asked = [
        f"Here is a {task.kind}:\n\n{prompt}{each.text}\n\nIs it {task.goal}? Say briefly what to change."
        for prompt, each in zip(prompts, drafts, strict=True)
    ]
    critiques = write([_chat(tokenizer, [words], "") for words in asked], 2)
    again = f"Rewrite the {task.kind} by this advice, so that it is {task.goal}."
    ids = [
        _chat(tokenizer, [words, critique.text, again], prompt)
        for words, critique, prompt in zip(asked, critiques, prompts, strict=True)
    ]
    revised = write(ids, 1)
    return revised, _tokens([drafts, critiques, revised])


def _drafts(write: Write, tokenizer: Any, prompts: list[str]) -> list[Completion]:
    return write(tokenizer(prompts)["input_ids"], 1)


def _chat(tokenizer: Any, turns: list[str], opening: str) -> list[int]:
    """A conversation, user and assistant in turn, at the point where the assistant goes on after the opening."""
    roles = ("user", "assistant")
    talk = [{"role": roles[turn % 2], "content": words} for turn, words in enumerate(turns)]
    text = tokenizer.apply_chat_template(talk, tokenize=False, add_generation_prompt=True) + opening
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _best(prompts: list[str], found: list[list[Completion]], score: Callable[..., Any]) -> list[Completion]:
    scores = np.array(
        [score([prompt + each.text for prompt, each in zip(prompts, part, strict=True)]) for part in found]
    )
    return [found[part][row] for row, part in enumerate(scores.argmax(axis=0))]


def _tokens(found: list[list[Completion]]) -> float:
    """Generated tokens a prompt."""
    return sum(len(each.ids) for part in found for each in part) / len(found[0])
