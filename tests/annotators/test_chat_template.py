"""Chat templates with a switch for thinking, and templates that raise; the templates are written here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from silr.annotators import LocalAnnotator, Prompt
from silr.annotators.chat_template import ChatTemplate
from silr.annotators.encoding import PromptEncoder, prompt_around_text
from silr.annotators.self_refine import SelfRefineAnnotator
from silr.errors import InputError
from silr.features.file import FileFeatures

TURNS = "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}"
ANSWER = "{% if add_generation_prompt %}[assistant]\n{% endif %}"
SWITCH = (  # as in Qwen 3: without thinking, an empty thought
    TURNS
    + "{% if add_generation_prompt %}[assistant]\n{% if enable_thinking is defined and enable_thinking is false %}"
    + "<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
OTHER_SWITCH = "{% if thinking %}[system] Think first.\n{% endif %}" + TURNS + ANSWER
OPENED = TURNS + "{% if add_generation_prompt %}[assistant]\n<think>\n{% endif %}"
PLAIN = TURNS + ANSWER
WANTS_SYSTEM = "{% if messages[0].role != 'system' %}{{ raise_exception('no system message') }}{% endif %}" + PLAIN
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + PLAIN
READS_PARTS = "{% for m in messages %}[{{ m.role }}] {{ m.content[0]['text'] }}\n{% endfor %}" + ANSWER
ONE_TURN = "{% if messages | length > 1 %}{{ raise_exception('one message only') }}{% endif %}" + PLAIN
BROKEN = "{{ raise_exception('never\nworks') }}"
REPEATS = "{% for m in messages %}{{ m.content }}{{ m.content }}{% endfor %}"
MARK = "\ue000"


@pytest.fixture(scope="module")
def words(minilm: str) -> Any:
    """A small tokenizer without a chat template."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(minilm)


@pytest.fixture
def chat(words: Any) -> Any:
    """Returns a function that gives the tokenizer a template."""

    def chat(template: str | None) -> Any:
        words.chat_template = template
        return words

    yield chat
    words.chat_template = None


def ending(tokenizer: Any, thinking: Any = None) -> str:
    return prompt_around_text(Prompt(["bad", "good"]), tokenizer, thinking).split("{text}")[1]


@pytest.mark.parametrize(
    ("template", "thinking", "end", "kept"),
    [
        (SWITCH, None, "\n[assistant]\n<think>\n\n</think>\n\nThis text is", False),
        (SWITCH, False, "\n[assistant]\n<think>\n\n</think>\n\nThis text is", False),
        (SWITCH, True, "\n[assistant]\nThis text is", True),
        (SWITCH, "as it is", "\n[assistant]\nThis text is", None),
        (OPENED, None, "\n[assistant]\n<think>\n\n</think>\n\nThis text is", False),
        (OPENED, True, "\n[assistant]\n<think>\nThis text is", True),
        (OPENED, "as it is", "\n[assistant]\n<think>\nThis text is", None),
        (OTHER_SWITCH, None, "\n[assistant]\nThis text is", False),
        (PLAIN, None, "\n[assistant]\nThis text is", None),
        (None, None, "\n\nThis text is", None),
    ],
)
def test_an_answer_begins_after_the_thought(
    chat: Any, template: str | None, thinking: Any, end: str, kept: bool | None
) -> None:
    tokenizer = chat(template)
    assert ending(tokenizer, thinking) == end
    assert ChatTemplate(tokenizer, thinking).thinking is kept


def test_another_name_of_the_switch(chat: Any) -> None:
    assert ChatTemplate(chat(OTHER_SWITCH), True).render([MARK], MARK).startswith("[system] Think first.")
    assert ChatTemplate(chat(OTHER_SWITCH)).render([MARK], MARK).startswith("[user]")


def test_the_class_words_are_read_after_the_empty_thought(chat: Any) -> None:
    encode = PromptEncoder(Prompt(["bad", "good"]), chat(SWITCH), 512)
    (prompt,), _ = encode(["some words"])
    assert encode.decode(prompt).replace(" ", "").endswith("[assistant]<think></think>thistextis")
    assert [encode.decode(answer) for answer in encode.answers] == ["bad", "good"]
    talk = encode.conversation("some words", ["Good.", "Are you sure?"], answering=True)
    assert encode.decode(talk).replace(" ", "").endswith("areyousure?[assistant]<think></think>thistextis")


@pytest.mark.parametrize("template", [PLAIN, NO_SYSTEM, None])
@pytest.mark.parametrize(("thinking", "option"), [(True, "--thinking"), (False, "--no-thinking")])
def test_a_switch_that_is_not_there(chat: Any, template: str | None, thinking: bool, option: str) -> None:
    with pytest.raises(InputError, match=f"leave out {option}$") as raised:
        ChatTemplate(chat(template), thinking)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        (NO_SYSTEM, "[user] {}\n[assistant]\n"),
        (WANTS_SYSTEM, "[system] You are a helpful assistant.\n[user] {}\n[assistant]\n"),
        (READS_PARTS, "[user] {}\n[assistant]\n"),
        (ONE_TURN, "[user] {}\n[assistant]\n"),
    ],
)
def test_a_template_that_raises_is_asked_in_another_form(chat: Any, template: str, shown: str) -> None:
    template_of = ChatTemplate(chat(template))
    assert template_of.render([f"a\n{MARK}"], MARK) == shown.format(f"a\n{MARK}")
    talk = template_of.render([f"a {MARK}", f"b {MARK}", f"c {MARK}"], MARK)
    assert talk.count(MARK) == 3 and talk.endswith("[assistant]\n")
    assert talk.index("a ") < talk.index("b ") < talk.index("c ")


def test_a_template_that_never_works_is_one_line(chat: Any) -> None:
    with pytest.raises(InputError, match="chat template fails on a user message: never works") as raised:
        ending(chat(BROKEN))
    assert "\n" not in str(raised.value)
    with pytest.raises(InputError, match="shows 1 messages 2 times instead of once each"):
        ending(chat(REPEATS))


@pytest.fixture
def thinker(small_causal: str, tmp_path: Path) -> Any:
    """Returns a function that gives a small model a chat template and returns its folder."""

    def thinker(template: str) -> str:
        folder = tmp_path / "thinker"
        shutil.copytree(small_causal, folder, dirs_exist_ok=True)
        (folder / "chat_template.jinja").write_text(template)
        return str(folder)

    return thinker


def test_new_texts_are_read_as_the_record_says(thinker: Any, tmp_path: Path) -> None:
    model, texts = thinker(SWITCH), ["one text", "another"]
    options: dict[str, Any] = {"device": "cpu", "dtype": "float32"}
    off, on = (LocalAnnotator(model, ["bad", "good"], thinking=thinking, **options) for thinking in (None, True))
    states = off.annotate(texts).features
    assert off.describe()["thinking"] is False and on.describe()["thinking"] is True
    assert not np.array_equal(states, on.annotate(texts).features)
    record = json.loads(json.dumps(off.describe()))
    np.testing.assert_array_equal(FileFeatures(None, {"annotator": record}).transform(texts), states)
    del record["thinking"]  # a record of before
    before = LocalAnnotator.from_description(record)
    assert "thinking" not in before.describe()
    np.testing.assert_array_equal(before.annotate(texts).features, on.annotate(texts).features)


def test_self_refinement_with_a_template_of_one_turn(thinker: Any) -> None:
    asking = LocalAnnotator(thinker(ONE_TURN), ["bad", "good"], device="cpu", dtype="float32")
    ((_, scores, _),) = SelfRefineAnnotator(asking).score_batches([["one text"]])
    assert np.exp(scores).sum() == pytest.approx(1, abs=1e-5)
