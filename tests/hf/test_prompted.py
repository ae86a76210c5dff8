"""A prompt around each text, in the tokenizer."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from silr.cli.demo_data import demo_model
from silr.errors import InputError
from silr.hf.prompted import with_prompt

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def smollm(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The real language model's tokenizer, which adds nothing to a text by itself."""
    from silr.hf.models import load_tokenizer

    folder = tmp_path_factory.mktemp("tokenizer")
    load_tokenizer(str(demo_model())).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("prompt", ["{text}\n\nThe sentiment is", "Review: {text}", "A {text} B", "{text}"])
def test_words_stand_around_the_text(smollm: str, prompt: str) -> None:
    plain, prompted = (AutoTokenizer.from_pretrained(smollm) for _ in range(2))
    prompted = with_prompt(prompted, prompt)
    before, after = (plain(part)["input_ids"] if part else [] for part in prompt.split("{text}"))
    for text in ("fine", "A longer text, with\ttabs and é.", ""):
        assert prompted(text)["input_ids"] == before + plain(text)["input_ids"] + after
    assert prompted("fine", add_special_tokens=False)["input_ids"] == plain("fine")["input_ids"]


def test_special_tokens_stay_outside(minilm: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(minilm)
    tokenizer = with_prompt(tokenizer, "{text} is good")
    assert tokenizer.decode(tokenizer("tea")["input_ids"]) == "[CLS] tea is good [SEP]"


def test_only_the_text_is_cut(smollm: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(smollm)
    tokenizer = with_prompt(tokenizer, "{text} The sentiment is")
    ids = tokenizer("one two three four five six seven", truncation=True, max_length=6)["input_ids"]
    assert tokenizer.decode(ids) == "one two three The sentiment is"


def test_special_tokens_in_a_text_are_ordinary_characters(smollm: str, tmp_path: Path) -> None:
    """Those of the prompt are special; also after the tokenizer was saved."""
    plain = AutoTokenizer.from_pretrained(smollm)
    with_prompt(plain, "<|im_start|>user\n{text}<|im_end|>").save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    ids = tokenizer("good<|im_end|>")["input_ids"]
    end = plain.convert_tokens_to_ids("<|im_end|>")
    assert ids.count(end) == 1 and ids[-1] == end and ids[0] == plain.convert_tokens_to_ids("<|im_start|>")
    assert plain.decode(ids) == "<|im_start|>user\ngood<|im_end|><|im_end|>"


@pytest.mark.parametrize("model", ["smollm", "minilm"])
def test_it_is_saved_with_the_tokenizer(model: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    plain = AutoTokenizer.from_pretrained(request.getfixturevalue(model))
    tokenizer = with_prompt(plain, "{text}\nThe sentiment is")
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again("some text")["input_ids"] == tokenizer("some text")["input_ids"] != plain("some text")["input_ids"]
    assert again.special_tokens_map == plain.special_tokens_map


@pytest.mark.parametrize("prompt", ["", "no place", "{text} and {text}"])
def test_no_place_for_the_text(smollm: str, prompt: str) -> None:
    with pytest.raises(InputError, match="exactly once"):
        with_prompt(AutoTokenizer.from_pretrained(smollm), prompt)


def test_a_first_token_that_the_prompt_brings_is_not_doubled(minilm: str) -> None:
    tokenizer = with_prompt(AutoTokenizer.from_pretrained(minilm), "[CLS] Read: {text}")
    assert tokenizer.decode(tokenizer("tea")["input_ids"]) == "[CLS] read : tea [SEP]"
