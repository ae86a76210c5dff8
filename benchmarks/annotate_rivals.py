"""Other ways of labelling texts with a local model: each gets the whole prompt, with {text} in it, and the answers.

Each returns the probabilities of the classes, texts x classes, and keeps nothing of one turn for the next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Reader = Callable[[list[str]], np.ndarray]
CONTEXT = 2048  # tokens of llama.cpp's context, and at most so many in one of its batches


def skorch(model: str, dtype: str, prompt: str, answers: list[str], threads: int) -> Reader:
    """skorch's ZeroShotClassifier on the network that silr reads with."""
    from skorch.llm import ZeroShotClassifier

    from silr.hf import models

    tokenizer, network = models.load(models.locate(model), "cpu", dtype)
    classifier = ZeroShotClassifier(model=network, tokenizer=tokenizer, prompt=prompt)
    classifier.fit(None, answers)

    def read(texts: list[str]) -> np.ndarray:
        classifier.clear_model_cache()
        return np.asarray(classifier.predict_proba(texts))

    return read


def open_llama(model: str, threads: int) -> Any:
    from llama_cpp import Llama

    return Llama(
        model, n_ctx=CONTEXT, n_batch=CONTEXT, n_threads=threads, n_threads_batch=threads, verbose=False, seed=0
    )


def llama_cpp_completion(model: str, dtype: str, prompt: str, answers: list[str], threads: int) -> Reader:
    """llama-cpp-python as its manual shows it: one completion a text, held to the answers by a grammar.

    It computes the beginning that a prompt shares with the last one only once. It gives labels: probability 0 or 1.
    """
    from llama_cpp import LlamaGrammar

    llama = open_llama(model, threads)
    grammar = LlamaGrammar.from_string("root ::= " + " | ".join(f'"{each}"' for each in answers), verbose=False)

    def read(texts: list[str]) -> np.ndarray:
        llama.reset()
        said = [
            llama.create_completion(prompt.replace("{text}", text), max_tokens=4, temperature=0.0, grammar=grammar)
            for text in texts
        ]
        labels = [answers.index(completion["choices"][0]["text"]) for completion in said]
        return np.eye(len(answers))[labels]

    return read


def llama_cpp_logits(model: str, dtype: str, prompt: str, answers: list[str], threads: int) -> Reader:
    """llama-cpp-python as an expert would use it: the shared beginning once, then one pass a text, and its logits."""
    llama = open_llama(model, threads)
    beginning, end = prompt.split("{text}")
    ids = [llama.tokenize(answer.encode(), add_bos=False)[0] for answer in answers]

    def read(texts: list[str]) -> np.ndarray:
        llama.reset()
        probabilities = np.empty((len(texts), len(answers)))
        last: list[int] = []
        for row, text in enumerate(texts):
            tokens = llama.tokenize((beginning + text + end).encode(), add_bos=False, special=True)
            shared = next((i for i, (a, b) in enumerate(zip(last, tokens, strict=False)) if a != b), len(last))
            llama.n_tokens = min(shared, len(tokens) - 1)
            llama.eval(tokens[llama.n_tokens :])
            logits = np.ctypeslib.as_array(llama._ctx.get_logits(), shape=(llama.n_vocab(),))[ids].astype(float)
            p = np.exp(logits - logits.max())
            probabilities[row], last = p / p.sum(), tokens
        return probabilities

    return read


RIVALS = {
    "skorch": skorch,
    "llama-cpp-python, completions": llama_cpp_completion,
    "llama-cpp-python, logits": llama_cpp_logits,
}
