"""Batches sent to a server that behaves as OpenAI's API is documented."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from batch_server import Behaviour, batch_server
from chat_server import COMPLETION_TOKENS, PROMPT_TOKENS, RefusalError, by_word, text_of

from silr.annotators.api.annotator import ApiAnnotator
from silr.annotators.api.batch.annotator import BatchAnnotator
from silr.annotators.api.batch.client import BatchClient
from silr.annotators.api.batch.lines import Limits
from silr.annotators.api.cache import AnswerCache
from silr.annotators.self_refine import SelfRefineAnnotator
from silr.annotators.table import AnnotationSummary, annotate_file
from silr.errors import InputError

CLASSES = ["negative", "positive"]
TEXTS = [f"a {'good' if i % 3 else 'bad'} thing, number {i}" for i in range(12)]
TRUTH = ["positive" if "good" in text else "negative" for text in TEXTS]


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILR_BATCH_SECONDS", "0.01")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-to-be-seen")


@pytest.fixture
def annotate(cache: AnswerCache, tmp_path: Path) -> Callable[..., tuple[AnnotationSummary, BatchClient]]:
    """Annotate TEXTS in batches, into out.csv."""
    pd.DataFrame({"text": TEXTS}).to_csv(tmp_path / "in.csv", index=False)

    def run(url: str, **options: Any) -> tuple[AnnotationSummary, BatchClient]:
        ours = {name: options.pop(name) for name in ("samples", "prompt") if name in options}
        limits, refine = options.pop("limits", Limits()), options.pop("self_refine", False)
        client = BatchClient("a-model", cache, base_url=url, **options)
        asking: Any = ApiAnnotator(client, CLASSES, **ours)
        asking = SelfRefineAnnotator(asking) if refine else asking
        batches = BatchAnnotator(asking, client, limits=limits, quiet=True)
        return annotate_file(tmp_path / "in.csv", tmp_path / "out.csv", batches, quiet=True), client

    return run


def labels(folder: Path) -> list[str]:
    return pd.read_csv(folder / "out.csv", keep_default_na=False)["llm_label"].tolist()


def missing(folder: Path) -> dict[str, str]:
    frame = pd.read_csv(folder / "out.csv", keep_default_na=False)
    return {row.text: row.llm_missing for row in frame.itertuples() if row.llm_missing}


def test_one_batch_answers_all_but_the_first_text(annotate: Any, tmp_path: Path) -> None:
    with batch_server(Behaviour(by_word)) as (url, record):
        done, client = annotate(url)
        assert labels(tmp_path) == TRUTH and done.n_missing == 0
        assert record.statuses() == ["completed"] and record.online == {TEXTS[0]: 1}
        assert len(record.submitted) == 11 and set(record.submitted.values()) == {1}
        (batch,) = record.batches.values()
        bodies = [row["body"] for row in record.rows(batch)]
        assert [text_of(body) for body in bodies] == TEXTS[1:]
        assert {(body["model"], body["temperature"], body["logprobs"]) for body in bodies} == {("a-model", 0.0, True)}
        assert not list(tmp_path.glob("out.csv.*"))  # neither .batch nor .partial
        cost = client.cost
        assert (cost.requests, cost.cached) == (12, 0)
        assert (cost.prompt_tokens, cost.completion_tokens) == (12 * PROMPT_TOKENS, 12 * COMPLETION_TOKENS)
        assert (cost.batched_requests, cost.batched_prompt_tokens) == (11, 11 * PROMPT_TOKENS)
        _, again = annotate(url)  # all is known
        assert (again.cost.requests, again.cost.cached) == (0, 12) and len(record.batches) == 1


def test_refused_parameters_are_learned_before_the_batch(annotate: Any, tmp_path: Path) -> None:
    def picky(body: dict[str, Any]) -> str:
        if "logprobs" in body or "temperature" in body:
            name = "logprobs" if "logprobs" in body else "temperature"
            raise RefusalError(400, f"Unsupported parameter: '{name}' is not supported with this model.")
        return by_word(body)

    with batch_server(Behaviour(picky)) as (url, record):
        _, client = annotate(url)
        assert labels(tmp_path) == TRUTH
        (batch,) = record.batches.values()
        assert all(set(row["body"]) == {"model", "messages"} for row in record.rows(batch))
    assert any("temperature" in note for note in client.notes)


def test_an_unclear_answer_is_asked_for_again_in_the_next_batch(annotate: Any, tmp_path: Path) -> None:
    def hesitant(body: dict[str, Any]) -> str:
        if text_of(body) == TEXTS[4] and len(body["messages"]) == 1:
            return "Hard to say."
        return "Purple" if text_of(body) == TEXTS[5] else by_word(body)

    with batch_server(Behaviour(hesitant)) as (url, record):
        annotate(url)
        assert labels(tmp_path)[4] == TRUTH[4] and set(missing(tmp_path)) == {TEXTS[5]}
        assert [batch["request_counts"]["total"] for batch in record.batches.values()] == [11, 2]


def test_samples_and_self_refinement_take_one_batch_a_turn(annotate: Any, tmp_path: Path) -> None:
    def answer(body: dict[str, Any]) -> str:
        return "Perhaps not." if body["messages"][-1]["content"].startswith("Is that answer right") else by_word(body)

    with batch_server(Behaviour(answer)) as (url, record):
        annotate(url, samples=3, self_refine=True)
        assert labels(tmp_path) == TRUTH
        # One text is asked about seven times outside the batches.
        assert [batch["request_counts"]["total"] for batch in record.batches.values()] == [33, 11, 33]
        assert set(record.submitted.values()) == {1} and record.online == {TEXTS[0]: 7}


# --- what fails -------------------------------------------------------------------------------------------------------


def test_failed_rows_are_sent_three_times_at_most(annotate: Any, tmp_path: Path) -> None:
    tries: dict[str, int] = {}

    def failing(body: dict[str, Any]) -> str | dict[str, Any]:
        text = text_of(body)
        tries[text] = tries.get(text, 0) + 1
        if (text == TEXTS[3] and tries[text] < 4) or (text == TEXTS[4] and tries[text] == 1):
            raise RefusalError(500, "The server had an error")
        if text == TEXTS[5]:
            raise RefusalError(400, "The response was filtered by the content management policy")
        return {"message": {"content": ""}} if text == TEXTS[6] and tries[text] == 1 else by_word(body)

    with batch_server(Behaviour(failing)) as (url, _record):
        done, client = annotate(url)
        assert missing(tmp_path) == {TEXTS[3]: "server error", TEXTS[5]: "filtered"}
        assert [tries[TEXTS[i]] for i in range(3, 7)] == [3, 2, 1, 2]
        assert done.n_missing == 2 and client.cost.requests == 12 + 3 + 1
        assert not (tmp_path / "out.csv.batch").exists()
        annotate(url)  # as without batches, those with a server error are asked again
        assert missing(tmp_path) == {TEXTS[5]: "filtered"} and tries[TEXTS[3]] == 4 and tries[TEXTS[5]] == 1


def test_a_text_that_is_too_long_is_cut(annotate: Any, tmp_path: Path) -> None:
    TEXTS_LONG = [*TEXTS[:3], "good " * 500]
    pd.DataFrame({"text": TEXTS_LONG}).to_csv(tmp_path / "in.csv", index=False)

    def limited(body: dict[str, Any]) -> str:
        length = len(body["messages"][0]["content"])
        if length > 1200:
            raise RefusalError(400, f"maximum context length is 300 tokens; your messages have {length // 4} tokens")
        return by_word(body)

    with batch_server(Behaviour(limited)) as (url, record):
        done, _ = annotate(url)
        assert labels(tmp_path) == [*TRUTH[:3], "positive"] and done.n_cut == 1
        assert len(record.batches) == 2


@pytest.mark.parametrize("status", ["expired", "cancelled"])
def test_a_batch_that_ends_early(annotate: Any, tmp_path: Path, status: str) -> None:
    behaviour = Behaviour(by_word, end=lambda batch: status if batch["id"] == "batch_0000" else "completed", done=0.5)
    with batch_server(behaviour) as (url, record):
        if status == "cancelled":
            with pytest.raises(InputError, match=r"batch_0000 was cancelled at the server; 5 of 11 answers came"):
                annotate(url)
        done, _ = annotate(url)
        assert labels(tmp_path) == TRUTH and done.n_missing == 0
        assert sorted(record.submitted.values()) == ([1] * 5 + [2] * 6 if status == "expired" else [1] * 6 + [2] * 5)
        assert record.online.total() == (1 if status == "expired" else 2)


def test_a_batch_that_the_server_does_not_begin(annotate: Any, tmp_path: Path) -> None:
    behaviour = Behaviour(
        by_word, errors=[{"code": "billing_hard_limit_reached", "message": "Billing hard limit reached"}]
    )
    with batch_server(behaviour) as (url, record):
        with pytest.raises(InputError, match="did not begin the batch: Billing hard limit reached"):
            annotate(url)
        behaviour.errors = []
        annotate(url)
        assert labels(tmp_path) == TRUTH and record.statuses() == ["failed", "completed"]
        assert record.online.total() == 1 and set(record.submitted.values()) == {1}


@pytest.mark.parametrize(
    ("limit", "words"),
    [({"most_rows": 4}, "too many requests"), ({"most_bytes": 4000}, "too large")],
)
def test_batches_are_made_smaller(annotate: Any, tmp_path: Path, limit: dict[str, int], words: str) -> None:
    with batch_server(Behaviour(by_word, **limit)) as (url, record):
        _, client = annotate(url)
        assert labels(tmp_path) == TRUTH and set(record.submitted.values()) == {1}
    assert any(words in note for note in client.notes)


def test_files_within_limits(annotate: Any, tmp_path: Path) -> None:
    with batch_server(Behaviour(by_word)) as (url, record):
        annotate(url, limits=Limits(requests=4))
        assert labels(tmp_path) == TRUTH
        assert [batch["request_counts"]["total"] for batch in record.batches.values()] == [4, 4, 3]
        assert record.most_open == 3  # at the same time


def test_no_more_is_enqueued_than_the_server_allows(annotate: Any, tmp_path: Path) -> None:
    with batch_server(Behaviour(by_word, most_tokens=600)) as (url, record):
        _, client = annotate(url, limits=Limits(requests=3))
        assert labels(tmp_path) == TRUTH and set(record.submitted.values()) == {1}
        assert record.most_open == 1
    assert any("takes no more batches now" in note for note in client.notes)


def test_budgets_hold_before_a_batch_is_sent(annotate: Any, tmp_path: Path) -> None:
    with batch_server(Behaviour(by_word)) as (url, record):
        done, client = annotate(url, max_requests=5)
        assert (client.cost.requests, client.spent, done.reasons) == (5, "5 requests", {"not asked": 7})
        assert record.submitted.total() == 4
        done, client = annotate(url, max_tokens_total=3 * (PROMPT_TOKENS + COMPLETION_TOKENS))
        assert client.cost.tokens <= 3 * (PROMPT_TOKENS + COMPLETION_TOKENS) and client.spent == "60 tokens"
        assert done.reasons == {"not asked": 12 - 5 - client.cost.requests}


# --- what a kill or a bad line leaves ---------------------------------------------------------------------------------


def test_a_batch_whose_creation_got_no_response_is_found(annotate: Any, tmp_path: Path) -> None:
    with batch_server(Behaviour(by_word, lost=1, faults=2)) as (url, record):
        annotate(url)
        assert labels(tmp_path) == TRUTH and len(record.batches) == 1 and len(record.files) == 2


def test_a_server_without_batches(annotate: Any, tmp_path: Path) -> None:
    with batch_server(Behaviour(by_word, no_batches=True)) as (url, record):
        with pytest.raises(InputError, match=r"has no Batch API .* --batch-file"):
            annotate(url)
        assert record.online.total() == 1
        assert [path.name for path in tmp_path.glob("out.csv.*")] == ["out.csv.partial"]  # with what was paid


def test_a_server_that_refuses_the_first_request_leaves_no_folder(annotate: Any, tmp_path: Path) -> None:
    def refuse(_: object) -> str:
        raise RefusalError(401, "wrong key")

    with batch_server(Behaviour(refuse)) as (url, _):
        with pytest.raises(InputError, match="wrong key"):
            annotate(url)
        assert not list(tmp_path.glob("out.csv.*"))


def test_batches_of_another_corpus(annotate: Any, tmp_path: Path) -> None:
    behaviour = Behaviour(by_word, files_gone=True)
    with batch_server(behaviour) as (url, record):
        with pytest.raises(InputError, match="does not have the file"):
            annotate(url)
        state = (tmp_path / "out.csv.batch" / "state.json").read_text()
        pd.DataFrame({"text": TEXTS[:3]}).to_csv(tmp_path / "in.csv", index=False)
        with pytest.raises(InputError, match=r"out.csv.batch holds batches of other texts.*\(texts\)"):
            annotate(url)
        assert (tmp_path / "out.csv.batch" / "state.json").read_text() == state
        assert json.loads(state)["parts"][0]["batch"] == "batch_0000"
        behaviour.files_gone = False
        pd.DataFrame({"text": TEXTS}).to_csv(tmp_path / "in.csv", index=False)
        annotate(url)
        assert labels(tmp_path) == TRUTH and set(record.submitted.values()) == {1} and len(record.batches) == 1


def test_rows_that_hit_all_requests_stop_the_job(annotate: Any, tmp_path: Path) -> None:
    asked = []

    def unpaid(body: dict[str, Any]) -> str:
        asked.append(body)
        if 1 < len(asked) < 13:
            raise RefusalError(429, "You exceeded your current quota, please check your billing: insufficient_quota")
        return by_word(body)

    with batch_server(Behaviour(unpaid)) as (url, record):
        with pytest.raises(InputError, match="wants to be paid first"):
            annotate(url)
        annotate(url)
        assert labels(tmp_path) == TRUTH and len(record.batches) == 2
