"""Answers in the forms that servers send them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from silr.annotators.api.length_limit import seems_cut
from silr.annotators.api.replies import NoReplyError, Reply, parse_body, read_reply, usage
from silr.annotators.missing import Missing


def choice(content: Any, **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content, **more.pop("message", {})}
    return {"choices": [{"finish_reason": "stop", "message": message, **more}]}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (choice("positive"), "positive"),
        (
            choice([{"type": "thinking", "thinking": [{"type": "text", "text": "negative?"}]}, {"text": "positive"}]),
            "positive",
        ),
        (choice([{"type": "text", "text": "posi"}, {"type": "output_text", "text": "tive"}]), "positive"),
        (choice(["posi", "tive"]), "positive"),
        (choice({"type": "text", "text": {"value": "positive"}}), "positive"),
        (choice([{"type": "reasoning", "text": "negative"}, {"type": "text", "text": "positive"}]), "positive"),
        (choice(1), "1"),
        (choice(None, message={"reasoning_content": "negative? no</think>positive"}), "negative? no</think>positive"),
        (choice("positive", message={"reasoning_content": "negative?"}), "positive"),
        ({"choices": [{"text": " positive"}]}, " positive"),
        ({"choices": [{"message": "positive"}]}, "positive"),
        ({"message": {"content": "positive"}, "done": True}, "positive"),
    ],
)
def test_the_text_of_an_answer(value: Any, text: str) -> None:
    found = read_reply(value)
    assert (found.text, found.missing) == (text, None)


def test_an_answer_in_pieces() -> None:
    pieces: list[dict[str, Any]] = [{"choices": [{"delta": {"content": part}}]} for part in ("posi", "tive")]
    pieces.append({"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3}})
    body = "".join(f"data: {json.dumps(piece)}\n\n" for piece in pieces) + "data: [DONE]\n"
    assert read_reply(parse_body(body)).text == "positive" and usage(parse_body(body)) == (3, 0)


@pytest.mark.parametrize(
    ("value", "missing"),
    [
        (choice(None, message={"refusal": "I'm sorry."}), Missing.REFUSED),
        (choice("", finish_reason="refusal"), Missing.REFUSED),
        (choice("", finish_reason="content_filter"), Missing.FILTERED),
        (choice(None, finish_reason="SAFETY"), Missing.FILTERED),
        (choice("", content_filter_results={"hate": {"filtered": True}}), Missing.FILTERED),
        ({"choices": [], "promptFeedback": {"blockReason": "SAFETY"}}, Missing.FILTERED),
        (choice("", finish_reason="length", message={"reasoning": "Hm"}), Missing.CUT_OFF),
        (choice("I think", finish_reason="MAX_TOKENS"), Missing.CUT_OFF),
        (choice("", message={"reasoning_content": "Hm"}), None),
    ],
)
def test_why_an_answer_may_name_no_class(value: Any, missing: Missing | None) -> None:
    assert read_reply(value).missing is missing


@pytest.mark.parametrize(
    "value", [choice(""), choice(None), {}, {"choices": []}, [], choice(None, message={"tool_calls": []})]
)
def test_no_answer(value: Any) -> None:
    with pytest.raises(NoReplyError):
        read_reply(value)
    with pytest.raises(NoReplyError, match="malformed"):
        parse_body('{"choices": [{"mess')


NEAR = [("positive", -0.1), ("negative", -2.4)]
LISTED = [{"token": token, "logprob": value, "bytes": None} for token, value in NEAR]


@pytest.mark.parametrize(
    "logprobs",
    [
        {"content": [{"token": "positive", "logprob": -0.1, "top_logprobs": LISTED}]},
        {"content": [{"token": "positive", "logprob": -0.1, "top_logprobs": dict(NEAR)}]},
        {"content": [{"token": "positive", "logprob": -0.1, "top_logprobs": NEAR}]},
        [{"token": "positive", "logprob": -0.1, "top_logprobs": LISTED}],
        {"tokens": ["positive"], "token_logprobs": [-0.1], "top_logprobs": [dict(NEAR)], "text_offset": [0]},
        {"tokens": ["positive"], "top_logprobs": [{token: {"logprob": value} for token, value in NEAR}]},
        {
            "content": [
                {
                    "token": "token_id:1",
                    "bytes": list(b"positive"),
                    "top_logprobs": [
                        {"token": f"token_id:{i}", "bytes": list(token.encode()), "logprob": value}
                        for i, (token, value) in enumerate(NEAR)
                    ],
                }
            ]
        },
    ],
)
def test_log_probabilities_in_any_form(logprobs: Any) -> None:
    ((token, likeliest),) = read_reply(choice("positive", logprobs=logprobs)).tokens
    assert token == "positive" and list(likeliest) == NEAR


@pytest.mark.parametrize("mark", ["\u2581", "\u0120"])
def test_marks_of_vocabularies_are_space(mark: str) -> None:
    top = {f"{mark}positive": -0.1, f"{mark}negative": -2.4}
    tokens = read_reply(choice(" positive", logprobs={"tokens": [f"{mark}positive"], "top_logprobs": [top]})).tokens
    assert tokens == ((" positive", ((" positive", -0.1), (" negative", -2.4))),)


@pytest.mark.parametrize(
    "logprobs",
    [
        None,
        {},
        {"content": None},
        {"content": "no"},
        {"content": [{"token": "positive", "top_logprobs": [{"token": "positive", "logprob": "no"}]}]},
        {"content": [None]},
        {"content": [{"logprob": -0.1}]},
        "no",
        3,
    ],
)
def test_a_malformed_log_probability_costs_no_label(logprobs: Any) -> None:
    found = read_reply(choice("positive", logprobs=logprobs))
    assert (found.text, found.tokens) == ("positive", ())


@pytest.mark.parametrize("top", [None, [], [{"token": "positive", "logprob": -0.1}], {"positive": -0.1}])
def test_one_token_alone_says_nothing_of_the_others(top: Any) -> None:
    logprobs = {"content": [{"token": "positive", "logprob": -0.1, "top_logprobs": top}]}
    assert read_reply(choice("positive", logprobs=logprobs)).tokens == (("positive", ()),)


def test_a_reply_keeps_its_content_in_the_cache() -> None:
    top = {"content": [{"token": "positive", "top_logprobs": LISTED}]}
    for value in (choice("positive", logprobs=top), choice(None, message={"refusal": "no"})):
        reply = read_reply(value)
        assert Reply.from_json(json.loads(json.dumps(reply.to_json()))) == reply


@pytest.mark.parametrize(
    ("content", "tokens", "cut"),
    [
        ("word " * 20_000, 2050, True),
        ("word " * 20_000, 20_050, False),
        ("word " * 20_000, 0, False),  # not counted
        ("字" * 10_000, 2048, True),
        ("字" * 10_000, 6000, False),
        (" " * 20_000, 300, False),
        ("word " * 300, 260, False),
    ],
)
def test_whether_a_prompt_was_cut_without_a_word(content: str, tokens: int, cut: bool) -> None:
    assert seems_cut([content], tokens) is cut


@pytest.mark.parametrize(
    ("counted", "tokens"),
    [
        ({"prompt_tokens": 20, "completion_tokens": 198, "total_tokens": 623}, (20, 603)),  # thoughts in the sum alone
        ({"prompt_tokens": 20, "total_tokens": 81}, (20, 61)),  # all of it thoughts
        ({"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}, (20, 5)),
        ({"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 5}, (20, 5)),
        ({"completion_tokens": 5, "total_tokens": 25}, (0, 5)),
    ],
)
def test_thoughts_are_paid_as_parts_of_the_answer(counted: dict[str, int], tokens: tuple[int, int]) -> None:
    assert usage({"usage": counted}) == tokens
    assert read_reply({**choice("positive"), "usage": counted}).completion_tokens == tokens[1]
