"""Tokens of prompts: estimated by script, or counted by a tokenizer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from silr.annotators.tokens import GROUPS, TOKENS_A_CHARACTER, Estimate, characters_by_script, counter_for, estimate
from silr.errors import InputError

MODEL = Path(__file__).parents[1] / "made_by_0_1" / "model"
RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "characters_a_token.json"


def test_rates_are_those_of_the_benchmark() -> None:
    result = json.loads(RESULTS.read_text())["tokens_a_character"]
    assert tuple(result.values()) == TOKENS_A_CHARACTER and list(result) == list(GROUPS)


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("abc 1.", {"ASCII": 6}),
        ("née", {"ASCII with accents": 2, "Latin with accents": 1}),
        ("Москва 1", {"Cyrillic": 6, "ASCII": 2}),
        ("日本のニュース", {"Han": 2, "Kana": 5}),
        ("한국 αβ שלום ไทย हिंदी 😀", {"Hangul": 2, "Greek": 2, "Hebrew and Arabic": 4, "ASCII": 5}),
    ],
)
def test_scripts(text: str, counts: dict[str, int]) -> None:
    found = dict(zip(GROUPS, characters_by_script(text), strict=True))
    assert {name: found[name] for name in counts} == counts


def test_an_estimate_says_its_error() -> None:
    english, thai = Estimate(), Estimate()
    assert 9 <= english([[{"role": "user", "content": "It is a good film."}]]) <= 14
    thai([[{"role": "user", "content": "ภาพยนตร์ที่ดี"}]])
    assert "up to 15%" in english.words and "up to 90%" in thai.words and not english.exact
    assert estimate("") == 1 and estimate("positive") == 2
    assert Estimate()([]) == 0


@pytest.mark.slow
def test_a_tokenizer_counts() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    count = counter_for("a-model", str(MODEL))
    messages = [{"role": "user", "content": "a good thing"}]
    if tokenizer.chat_template:
        expected = len(tokenizer.apply_chat_template(messages, tokenize=True, add_generation_prompt=True)["input_ids"])
    else:
        expected = len(tokenizer("a good thing", add_special_tokens=False)["input_ids"]) + 7
    assert count([messages] * 3) == 3 * expected and count.exact and "counted by the tokenizer" in count.words
    with pytest.raises(InputError):
        counter_for("a-model", "/there/is/none")
