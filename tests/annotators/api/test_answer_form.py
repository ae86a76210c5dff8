"""Answers that the server holds to the classes, and what is said beside them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from chat_server import RefusalError, SentError, by_word, chat_server, text_of

from command_line import Commands
from silr import annotate
from silr.annotators.answers.read import class_log_probabilities
from silr.annotators.answers.reading import Token
from silr.annotators.api.annotator import ApiAnnotator
from silr.annotators.api.answer_form import AnswerForm, is_about_form, label_in_json
from silr.annotators.api.cache import AnswerCache
from silr.annotators.api.client import ChatClient
from silr.annotators.base import annotate_texts, has_scores
from silr.annotators.missing import Missing
from silr.annotators.self_refine import SelfRefineAnnotator
from silr.annotators.table import annotate_file, partial_path
from silr.errors import InputError

pytestmark = pytest.mark.slow

CLASSES = ("negative", "positive")
TEXTS = [f"a {'good' if i % 3 else 'bad'} thing, number {i}" for i in range(12)]
TRUTH = np.array(["good" in text for text in TEXTS])
JSON, GUIDED = "json schema", "guided choice"
PROSE = "Well, I would say that it is {}, all in all."


def annotator(url: str, cache: AnswerCache, classes: tuple[str, ...] = CLASSES, **options: Any) -> ApiAnnotator:
    return ApiAnnotator(ChatClient("m", cache, base_url=url), classes, concurrency=2, **options)


def is_right(asking: ApiAnnotator, truth: np.ndarray = TRUTH, texts: list[str] = TEXTS) -> bool:
    return bool((annotate_texts(asking, texts).scores.argmax(axis=1) == truth).all())


def enum(body: dict[str, Any]) -> list[str] | None:
    """The labels that a request allows by `response_format`."""
    form = body.get("response_format")
    return None if form is None else form["json_schema"]["schema"]["properties"]["label"]["enum"]


def structured(body: dict[str, Any]) -> str:
    """A server that takes a JSON schema; else the model talks."""
    label = by_word(body)
    if (allowed := enum(body)) is None:
        return PROSE.format(label)
    assert label in allowed
    return json.dumps({"label": label})


def tokens(pieces: list[str], place: int, **likeliest: float) -> dict[str, Any]:
    """A choice made of tokens; the likeliest ones stand at one place, by their probabilities."""
    content = []
    for number, piece in enumerate(pieces):
        top = [{"token": piece, "logprob": -0.01}, {"token": "~", "logprob": -9.0}]
        if number == place:
            top = [{"token": token, "logprob": float(np.log(p)) if p else -9999.0} for token, p in likeliest.items()]
        content.append({"token": piece, "logprob": -0.01, "top_logprobs": top})
    return {"message": {"content": "".join(pieces)}, "logprobs": {"content": content}}


# --- which form -------------------------------------------------------------------------------------------------------


def test_a_server_that_takes_a_schema_is_asked_for_it(cache: AnswerCache) -> None:
    with chat_server(structured) as (url, record):
        asking = annotator(url, cache)
        assert is_right(asking) and asking.remarks.form == JSON
        assert record.requests == len(TEXTS) + 1  # the first text is asked about freely, too
        assert sum("response_format" in body for body in record.bodies) == len(TEXTS)
        schema = record.bodies[0]["response_format"]["json_schema"]
        assert schema["strict"] and schema["schema"]["additionalProperties"] is False
        assert record.bodies[0]["messages"] == record.bodies[1]["messages"]
        again = annotator(url, cache)
        assert is_right(again) and record.requests == len(TEXTS) + 1 and again.remarks.form == JSON


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model."),
        (400, "This response_format type is unavailable now"),
        (422, "[{'type': 'literal_error', 'loc': ('body', 'response_format', 'type'), 'msg': 'Input should be'}]"),
        (500, "json_schema is not implemented"),
        (501, "structured output is not supported by this backend"),
        (400, "Something is wrong with the request."),
        (404, "No endpoints found that can handle the requested parameters."),
    ],
)
def test_a_refused_form_is_left_out_in_whatever_words(cache: AnswerCache, status: int, said: str) -> None:
    def answer(body: dict[str, Any]) -> str:
        if {"response_format", "structured_outputs"} & body.keys():
            raise RefusalError(status, said)
        return by_word(body)

    with chat_server(answer) as (url, record):
        asking = annotator(url, cache)
        assert is_right(asking) and asking.remarks.form == "free"
        assert sum("response_format" in body for body in record.bodies) == 1
        assert record.requests <= len(TEXTS) + 3 and "logprobs" in record.bodies[-1]
        assert not any("response_format" in note for note in asking.notes)
        paid = record.requests
        assert is_right(annotator(url, cache)) and record.requests == paid


@pytest.mark.parametrize("said", ["positive", PROSE.format("positive"), '{"sentiment": "positive"}'])
def test_a_server_that_does_not_read_the_form_is_noticed_by_its_first_answer(cache: AnswerCache, said: str) -> None:
    with chat_server(lambda body: said) as (url, record):
        asking = annotator(url, cache)
        assert is_right(asking, np.ones(12)) and asking.remarks.form == "free"
        assert record.requests == len(TEXTS)  # its answer is that of the first text
        assert sum("response_format" in body for body in record.bodies) == 1


@pytest.mark.parametrize("empty", ["{}", ""])
def test_a_server_that_answers_nothing_in_the_form(cache: AnswerCache, empty: str) -> None:
    with chat_server(lambda body: empty if "response_format" in body else by_word(body)) as (url, record):
        asking = annotator(url, cache)
        assert is_right(asking) and asking.remarks.form == "free"
        assert sum("response_format" in body for body in record.bodies) <= 3
        assert record.requests <= len(TEXTS) + 3


def test_a_refusal_of_the_first_text_tells_nothing_of_the_form(cache: AnswerCache) -> None:
    def answer(body: dict[str, Any]) -> str | dict[str, Any]:
        if text_of(body) == TEXTS[0]:
            return {"message": {"content": None, "refusal": "I cannot judge this."}}
        return structured(body)

    with chat_server(answer) as (url, _):
        asking = annotator(url, cache)
        found = annotate_texts(asking, TEXTS)
        assert np.isnan(found.scores[0]).all() and (found.scores[1:].argmax(axis=1) == TRUTH[1:]).all()
        assert asking.remarks.missing == {TEXTS[0]: Missing.REFUSED} and asking.remarks.form == JSON


def test_vllm_is_asked_in_its_own_way_where_it_refuses_a_schema(cache: AnswerCache) -> None:
    def answer(body: dict[str, Any]) -> str:
        if "response_format" in body:
            raise RefusalError(400, "response_format.type: Input should be 'text' or 'json_object'")
        return by_word(body) if "guided_choice" in body else PROSE.format(by_word(body))

    with chat_server(answer) as (url, record):
        asking = annotator(url, cache)
        assert is_right(asking) and asking.remarks.form == GUIDED
        assert record.bodies[-1]["guided_choice"] == list(CLASSES) == record.bodies[-1]["structured_outputs"]["choice"]
        assert record.requests == len(TEXTS) + 2  # one was refused, and what came instead was the free answer


def test_words_that_come_anyway_do_not_count_as_held_to(cache: AnswerCache) -> None:
    def answer(body: dict[str, Any]) -> str:
        if "response_format" in body:
            raise RefusalError(400, "no response_format here")
        return by_word(body)

    with chat_server(answer) as (url, record):
        asking = annotator(url, cache)
        assert is_right(asking) and asking.remarks.form == "free" and record.requests == len(TEXTS) + 1


def test_one_text_of_which_the_server_makes_no_json_is_asked_about_freely(cache: AnswerCache) -> None:
    def answer(body: dict[str, Any]) -> str:
        if text_of(body) == TEXTS[5] and "response_format" in body:
            raise RefusalError(400, "Failed to generate JSON. Please adjust your prompt. (json_validate_failed)")
        return structured(body)

    with chat_server(answer) as (url, record):
        asking = annotator(url, cache)
        assert is_right(asking) and asking.remarks.form == JSON and "response_format" in record.bodies[-1]
        assert record.requests == len(TEXTS) + 2
        assert is_right(annotator(url, cache)) and record.requests == len(TEXTS) + 2


@pytest.mark.parametrize("answer", ["free", "structured"])
def test_the_user_decides(cache: AnswerCache, answer: str) -> None:
    with chat_server(structured) as (url, record):
        asking = annotator(url, cache, answer=answer)
        assert is_right(asking) and record.requests == len(TEXTS)
        assert all(("response_format" in body) is (answer == "structured") for body in record.bodies)
        assert asking.describe()["answer"] == answer and "answer" not in annotator(url, cache).describe()
    with pytest.raises(InputError, match="--answer is one of auto, structured, free"):
        annotator(url, cache, answer="json")


def test_structured_answers_that_the_server_does_not_give_end_the_job(cache: AnswerCache) -> None:
    with chat_server(lambda body: PROSE.format("positive")) as (url, record):
        with pytest.raises(InputError, match="takes no structured answers"):
            annotate_texts(annotator(url, cache, answer="structured"), TEXTS)
        assert record.requests == 2


# --- what must not be lost by it --------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", ["scores", "thought", "nothing"])
def test_the_form_is_taken_only_where_nothing_is_lost(cache: AnswerCache, lost: str) -> None:
    def answer(body: dict[str, Any]) -> dict[str, Any] | str:
        label = by_word(body)
        other = CLASSES[label == "negative"]
        if "response_format" in body:
            pieces = ['{"', "label", '":', ' "', label[:3], label[3:], '"}']
            plain = {"message": {"content": "".join(pieces)}}
            return plain if lost == "scores" else tokens(pieces, 4, **{label[:3]: 0.8, other[:3]: 0.1})
        free = tokens([label], 0, **{label: 0.7, other: 0.2})
        if lost == "thought":
            free["message"]["reasoning_content"] = "Let me see."
        return free

    with chat_server(answer) as (url, record):
        asking = annotator(url, cache)
        found = annotate_texts(asking, TEXTS)
        assert has_scores(found.scores).all() and (found.scores.argmax(axis=1) == TRUTH).all()
        assert asking.remarks.form == (JSON if lost == "nothing" else "free")
        assert record.requests == len(TEXTS) + 1
        assert any("come without" in note for note in asking.notes) is (lost != "nothing")
        again = annotator(url, cache)
        assert is_right(again) and record.requests == len(TEXTS) + 1 and again.remarks.form == asking.remarks.form


def test_raw_probabilities_under_a_grammar_are_no_loss(cache: AnswerCache) -> None:
    """As llama.cpp answers: a fence that the content lacks, and probabilities from before words were ruled out."""

    def answer(body: dict[str, Any]) -> dict[str, Any]:
        label = by_word(body)
        other = CLASSES[label == "negative"]
        if "response_format" not in body:
            return tokens(["The answer is", f" {label}", "."], 1, **{f" {label}": 0.4, f" {other}": 0.2, " mixed": 0.1})
        pieces = ["```", "json", "\n", "{", "\n ", ' "', "label", '":', ' "', label, '"', "\n", "}", "\n", "```"]
        raw = {other.capitalize(): 0.19, label: 0.17, other: 0.1, label.capitalize(): 0.05, "The": 0.02}
        return tokens(pieces, 9, **raw) | {"message": {"content": f'{{\n  "label": "{label}"\n}}'}}

    with chat_server(answer) as (url, _):
        asking = annotator(url, cache)
        found = annotate_texts(asking, TEXTS)
        assert asking.remarks.form == JSON and not any("come without" in note for note in asking.notes)
        assert np.exp(found.scores[0]) == pytest.approx(np.array([0.17, 0.1]) / 0.27)  # the first text is a bad thing
        assert (found.scores.argmax(axis=1) == TRUTH).all()


def test_an_annotation_that_was_begun_free_stays_free(cache: AnswerCache, tmp_path: Path) -> None:
    with chat_server(structured) as (url, record):
        assert is_right(annotator(url, cache, answer="free"), TRUTH[:6], TEXTS[:6])
        asking = annotator(url, cache)
        assert is_right(asking) and asking.remarks.form == "free" and record.requests == len(TEXTS)
        assert not any("response_format" in body for body in record.bodies)


# --- scores of enumerated answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pieces", "place", "likeliest"),
    [
        (['{"label":"', "pos", "itive", '"}'], 1, {"pos": 0.75, "neg": 0.25}),
        (['{"label":', '"pos', "itive", '"}'], 1, {'"pos': 0.75, '"neg': 0.25, '"': 0.0}),
        (['{"label', '": "', "positive", '"}'], 2, {"positive": 0.5, "Negative": 0.1, "negative": 0.5 / 3, "P": 0.0}),
        (['{"label": ', '"positive"}'], 1, {'"positive"}': 0.6, '"negative"}': 0.2, "{": 0.1}),
        (["```json\n", '{"label": "', "p", "ositive", '"}'], 2, {"p": 0.6, "n": 0.2, "P": 0.05, "N": 0.15}),
    ],
)
def test_tokens_inside_quotes(pieces: list[str], place: int, likeliest: dict[str, float]) -> None:
    """Constrained decoders renormalise, some give every other token no probability at all, and some the raw ones."""
    stream = [Token(piece, ((piece, -0.1), ("~", -5.0))) for piece in pieces]
    top = tuple((token, float(np.log(p)) if p else -9999.0) for token, p in likeliest.items())
    stream[place] = Token(pieces[place], top)
    answer = "".join(pieces)
    found = label_in_json(answer, CLASSES)
    assert found is not None and found[0] == 1
    scores = class_log_probabilities(stream, found[1], CLASSES, exact=True)
    assert scores is not None and np.exp(scores) == pytest.approx([0.25, 0.75], abs=1e-6)


def test_names_that_begin_alike_are_asked_for_by_letter_in_the_form_too(cache: AnswerCache) -> None:
    def answer(body: dict[str, Any]) -> dict[str, Any]:
        label = "B" if "good" in text_of(body) else "A"
        assert enum(body) in (None, ["A", "B"])
        pieces = ['{"label": "', label, '"}'] if enum(body) else [label]
        return tokens(pieces, len(pieces) // 2, A=0.9 if label == "A" else 0.1, B=0.9 if label == "B" else 0.1)

    with chat_server(answer) as (url, _):
        asking = annotator(url, cache, ("science", "science fiction"))
        found = annotate_texts(asking, TEXTS)
        assert asking.remarks.form == JSON and has_scores(found.scores).all()
        assert (found.scores.argmax(axis=1) == TRUTH).all()


def test_the_label_of_an_object_is_read_as_it_stands() -> None:
    answer = '{"reason": "not \\"label\\": \\"negative\\" at all", "label": "positive", "confidence": 90}'
    found = label_in_json(answer, CLASSES)
    assert found is not None and found[0] == 1 and answer[found[1] :].startswith("positive")
    for other in (
        '{"label": "neutral"}',
        '{"label": ["positive"]}',
        '["positive"]',
        "positive",
        '{"label": "posi',
        '{"label": "positive"',
        '{"label": "positive", "other": {"label": "negative"}',
        "{}",
    ):
        assert label_in_json(other, CLASSES) is None
    torn = '```json\n{"label": "positive", "reason": "and so on and'
    assert label_in_json(torn, CLASSES) == (1, torn.index("positive"))
    assert AnswerForm(JSON, CLASSES).fits('<think>hm</think>{"label": "positive"}')
    assert not is_about_form("The model is overloaded") and not is_about_form("context length exceeded")


# --- what is said beside the label ------------------------------------------------------------------------------------


def saying(body: dict[str, Any]) -> str:
    """A model that gives all fields it is asked for, as JSON."""
    prompt = body["messages"][-1]["content"]
    number = int(text_of(body).rsplit(" ", 1)[1])
    fields: dict[str, Any] = {"label": by_word(body)}
    if '"confidence"' in prompt:
        fields["confidence"] = 60 + number
    if '"reason"' in prompt:
        fields["reason"] = f"It is not {'bad' if number % 3 else 'good'}\x07 at\nall; it says so. " + "So. " * 200
    return json.dumps(fields)


def test_a_reason_without_end_is_cut_and_its_label_counts(cache: AnswerCache, tmp_path: Path) -> None:
    """As vLLM and llama.cpp answer with a small model, which repeats itself until its context is full."""

    def answer(body: dict[str, Any]) -> dict[str, Any] | str:
        if text_of(body) != TEXTS[5] or "response_format" not in body:
            return saying(body)
        assert body["max_tokens"] == 1000
        torn = '{"label": "positive", "confidence": 80, "reason": "it says so' + " and so on" * 490
        return {"message": {"content": torn}, "finish_reason": "length"}

    with chat_server(answer) as (url, record):
        asking = annotator(url, cache, confidence="said", explain=True)
        pd.DataFrame({"text": TEXTS}).to_csv(tmp_path / "texts.csv", index=False)
        annotate_file(tmp_path / "texts.csv", tmp_path / "out.csv", asking)
        assert record.requests == len(TEXTS) + 1
        table = pd.read_csv(tmp_path / "out.csv")
        assert table["llm_label"][5] == "positive" and table["llm_confidence"][5] == 0.8
        assert table["llm_reason"][5].startswith("it says so and so on")
        again = annotator(url, cache, confidence="said", explain=True)
        annotate_texts(again, TEXTS)
        assert record.requests == len(TEXTS) + 1


@pytest.mark.parametrize("short", ["thought", "room"])
def test_a_limit_that_is_too_low_is_left_out(cache: AnswerCache, short: str) -> None:
    """A thought that takes more, and a context that has not so much (in the words of vLLM 0.32)."""

    def answer(body: dict[str, Any]) -> dict[str, Any] | str:
        if text_of(body) in (TEXTS[0], TEXTS[5]) and "max_tokens" in body:
            if short == "room":
                said = "max_tokens=1000 cannot be greater than max_model_len=512. Please request fewer output tokens."
                raise RefusalError(400, said)
            return {"message": {"content": "", "reasoning_content": "Let me see. " * 300}, "finish_reason": "length"}
        return saying(body)

    with chat_server(answer) as (url, record):
        asking = annotator(url, cache, explain=True)
        assert is_right(asking) and asking.remarks.form == JSON and not asking.remarks.cut
        assert record.requests == len(TEXTS) + 3


@pytest.mark.parametrize("takes", [True, False])
def test_confidence_and_reason_come_with_the_label(cache: AnswerCache, tmp_path: Path, takes: bool) -> None:
    def answer(body: dict[str, Any]) -> str:
        if "response_format" in body and not takes:
            raise RefusalError(400, "response_format is unknown")
        if "response_format" in body:
            fields = body["response_format"]["json_schema"]["schema"]["required"]
            assert fields == ["label", "confidence", "reason"]
        return saying(body) if takes else f"```json\n{saying(body)}\n```"

    pd.DataFrame({"text": TEXTS, "llm_confidence": 0.1, "llm_reason": "old"}).to_csv(tmp_path / "in.csv", index=False)
    with chat_server(answer) as (url, record):
        asking = annotator(url, cache, confidence="said", explain=True)
        done = annotate_file(tmp_path / "in.csv", tmp_path / "out.csv", asking, quiet=True)
        assert asking.remarks.form == (JSON if takes else "free")
        assert record.requests <= len(TEXTS) + 3
    frame = pd.read_csv(tmp_path / "out.csv")
    assert (frame["llm_label"] == np.array(CLASSES)[TRUTH.astype(int)]).all()
    assert frame["llm_confidence"].tolist() == [round(0.6 + number / 100, 2) for number in range(12)]
    assert frame["llm_reason"].str.fullmatch("It is not (bad|good) at all; it says so. [So. ]+…").all()
    assert frame["llm_reason"].str.len().max() <= 300
    assert done.n_said == {"confidence": 12, "reason": 12}
    record_ = json.loads((tmp_path / "out.annotator.json").read_text())
    assert record_["said"] == ["confidence", "reason"] and record_["answer_form"] == asking.remarks.form
    assert record_["counts"]["with_confidence"] == 12


def test_a_confidence_is_read_by_refine_and_left_out_where_none_came(cache: AnswerCache, tmp_path: Path) -> None:
    with chat_server(
        lambda body: f"{by_word(body)}\nConfidence: {'very high' if 'bad' in text_of(body) else '90 %'}"
    ) as (
        url,
        _,
    ):
        frame = annotate(TEXTS, annotator=annotator(url, cache, confidence="said"))
    assert frame["llm_confidence"].dtype == np.float64 and frame["llm_confidence"].dropna().unique().tolist() == [0.9]
    assert (frame["llm_confidence"].notna() == TRUTH).all() and "llm_reason" not in frame
    from silr.io.annotator_columns import read_annotators

    read = read_annotators(frame, "table")
    assert read.scores[0] is not None and np.exp(read.scores[0][1]) == pytest.approx([0.1, 0.9])
    with chat_server(by_word) as (url, _):
        frame = annotate(TEXTS, annotator=annotator(url, cache, confidence="said"))
    assert "llm_confidence" not in frame and frame["llm_label"].notna().all()


def test_samples_give_the_mean_of_the_agreeing_answers(cache: AnswerCache) -> None:
    answers = iter([("positive", 80), ("negative", 10), ("positive", 90)])

    def answer(body: dict[str, Any]) -> str:
        label, confidence = next(answers)
        return json.dumps({"label": label, "confidence": confidence})

    with chat_server(answer) as (url, _):
        asking = annotator(url, cache, confidence="said", samples=3, answer="structured")
        found = annotate_texts(asking, TEXTS[:1])
        assert found.scores[0].argmax() == 1 and asking.remarks.said[TEXTS[0]].confidence == 0.85


def test_self_refinement_keeps_what_is_said_last(cache: AnswerCache) -> None:
    def answer(body: dict[str, Any]) -> str:
        if len(body["messages"]) == 3:
            assert "response_format" not in body
            return "It may be otherwise."
        return json.dumps({"label": by_word(body), "confidence": 50 + len(body["messages"])})

    with chat_server(answer) as (url, record):
        asking = annotator(url, cache, confidence="said")
        annotate_texts(SelfRefineAnnotator(asking), TEXTS[:3])
        assert {asking.remarks.said[text].confidence for text in TEXTS[:3]} == {0.55}
        assert '"confidence"' in record.bodies[-1]["messages"][-1]["content"]


def test_what_was_said_survives_an_interruption(cache: AnswerCache, tmp_path: Path) -> None:
    pd.DataFrame({"text": TEXTS}).to_csv(tmp_path / "in.csv", index=False)

    def answer(body: dict[str, Any]) -> str:
        if record.requests > 7:
            raise SentError(402, {"error": {"message": "insufficient credits"}})
        return saying(body)

    options: dict[str, Any] = {"confidence": "said", "explain": True}
    with chat_server(answer) as (url, record), pytest.raises(InputError, match="paid"):
        annotate_file(tmp_path / "in.csv", tmp_path / "out.csv", annotator(url, cache, **options), quiet=True)
    kept = partial_path(tmp_path / "out.csv") / "said"
    n_kept = len(kept.read_text().splitlines()) - 1
    assert 3 <= n_kept <= 7 and json.loads(kept.read_text().splitlines()[0]) == {"form": JSON}
    with kept.open("a") as file:
        file.write('{"text": 11, "confid')  # as a kill leaves it
    with chat_server(saying) as (again, record):
        asking = ApiAnnotator(ChatClient("m", cache, base_url=again), CLASSES, **options)
        asking.describe = lambda: annotator(url, cache, **options).describe()  # type: ignore[method-assign]
        done = annotate_file(tmp_path / "in.csv", tmp_path / "out.csv", asking, quiet=True)
        assert record.requests == len(TEXTS) - n_kept  # the form is known from before
    frame = pd.read_csv(tmp_path / "out.csv")
    assert done.n_resumed == n_kept and frame["llm_confidence"].tolist() == [round(0.6 + i / 100, 2) for i in range(12)]
    assert frame["llm_reason"].notna().all()


def test_the_command_says_what_it_found_out(
    commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    pd.DataFrame({"text": TEXTS}).to_csv(tmp_path / "in.csv", index=False)
    command = ["annotate", "in.csv", "-o", "out.csv", "--classes", *CLASSES, "--cache", "answers.sqlite"]
    said = ["--confidence", "said", "--explain"]
    with chat_server(saying) as (url, _):
        api = ["--base-url", url, "--model", "m"]
        done = commands(*command, *api, *said, cwd=tmp_path)
        assert done.code == 0, done.err
        assert "answers: the server holds the model to the classes (json schema)" in done.out
        assert "12 of 12 labels have a confidence (column llm_confidence)" in done.out
        values = json.loads(commands(*command, *api, *said, "--json", cwd=tmp_path).out)
        assert values["answer_form"] == JSON and values["said"] == {"confidence": 12, "reason": 12}
        assert values["requests"] == 0 and "response_format" in values["parameters"]
        wrong = commands(*command, *api, "--confidence", "high", cwd=tmp_path)
        assert wrong.code == 2 and "--confidence" in wrong.err
    local = commands(*command, *said, cwd=tmp_path)
    assert local.code == 2 and "--confidence is for a server" in local.err
