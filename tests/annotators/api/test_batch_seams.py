"""Batches with everything else: several LLMs, a form of the answers, what is said, who answered, and what it cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from batch_server import Behaviour, batch_server
from chat_server import COMPLETION_TOKENS, PROMPT_TOKENS, RefusalError, by_word, text_of

from silr.annotators.annotate import annotate
from silr.annotators.api.annotator import ApiAnnotator
from silr.annotators.api.batch.annotator import BatchAnnotator
from silr.annotators.api.batch.client import BatchClient
from silr.annotators.api.cache import AnswerCache
from silr.annotators.cost import Price
from silr.annotators.self_refine import SelfRefineAnnotator
from silr.annotators.table import AnnotationSummary, annotate_file
from silr.errors import InputError
from silr.io.annotator_records import read_records
from silr.io.files import Json

CLASSES = ["negative", "positive"]
TEXTS = [f"a {'good' if i % 3 else 'bad'} thing, number {i}" for i in range(12)]
TRUTH = ["positive" if "good" in text else "negative" for text in TEXTS]
PRICE = Price(1000.0, 2000.0, source="of the test")
ONE = PRICE.dollars(PROMPT_TOKENS, COMPLETION_TOKENS)  # dollars of a single request


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILR_BATCH_SECONDS", "0.01")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-to-be-seen")


class Job:
    """An annotation of TEXTS in batches."""

    def __init__(self, folder: Path, cache: AnswerCache, url: str) -> None:
        self.folder, self.cache, self.url = folder, cache, url
        self.source, self.output = folder / "in.csv", folder / "out.csv"
        pd.DataFrame({"text": TEXTS}).to_csv(self.source, index=False)

    def __call__(self, name: str = "", model: str = "a-model", **options: Any) -> tuple[AnnotationSummary, BatchClient]:
        own = ("answer", "confidence", "explain", "samples")
        ours = {option: options.pop(option) for option in own if option in options}
        refines = options.pop("refines", False)
        client = BatchClient(model, self.cache, base_url=self.url, **{"price": PRICE, **options})
        asking: Any = ApiAnnotator(client, CLASSES, **ours)
        batches = BatchAnnotator(SelfRefineAnnotator(asking) if refines else asking, client, quiet=True)
        return annotate_file(self.source, self.output, batches, quiet=True, name=name), client

    def column(self, name: str) -> list[str]:
        return pd.read_csv(self.output, keep_default_na=False)[name].tolist()

    def record(self, name: str = "") -> Json:
        return read_records(self.output)[name]


def in_json(body: dict[str, Any]) -> str:
    """An answer as the prompt wants it where more than the label is asked for."""
    return json.dumps({"label": by_word(body), "confidence": 80, "reason": "It says so."})


def structured(body: dict[str, Any]) -> str:
    """A server that holds the model to a schema; without one it adds a line."""
    return in_json(body) if "response_format" in body else f"{by_word(body)}, I think"


# --- several LLMs -----------------------------------------------------------------------------------------------------


def test_two_llms_have_batches_under_way_beside_one_table(tmp_path: Path, cache: AnswerCache) -> None:
    behaviour = Behaviour(by_word, files_gone=True)
    with batch_server(behaviour) as (url, record):
        job = Job(tmp_path, cache, url)
        for name in ("", "gpt5", "qwen"):
            with pytest.raises(InputError, match="does not have the file"):
                job(name, model=f"model-{name}")
        folders = sorted(path.name for path in tmp_path.glob("*.batch"))
        assert folders == ["out.csv.batch", "out.csv.gpt5.batch", "out.csv.qwen.batch"]
        behaviour.files_gone = False
        for name in ("", "gpt5", "qwen"):
            job(name, model=f"model-{name}")
        columns = ["llm_label", "llm_label_gpt5", "llm_label_qwen"]
        assert [job.column(name) for name in columns] == [TRUTH] * 3
        assert len(record.batches) == 3 and set(record.submitted.values()) == {1}
        assert not list(tmp_path.glob("*.batch"))
        assert job.record("qwen")["model"] == "model-qwen"


# --- who answered -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("samples", "refines"), [(1, False), (2, False), (1, True)])
def test_each_answer_is_counted_once(tmp_path: Path, cache: AnswerCache, samples: int, refines: bool) -> None:
    with batch_server(Behaviour(by_word)) as (url, record):
        job = Job(tmp_path, cache, url)
        job(samples=samples, refines=refines)
        answers = record.online.total() + record.submitted.total()
        assert answers == 12 * (3 if refines else samples)
        assert job.record()["snapshots"] == [{"model": "a-model", "answers": answers}]
        assert job.record()["cost"]["requests"] == answers


# --- a form of the answers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["auto", "structured"])
def test_a_form_with_what_is_said(tmp_path: Path, cache: AnswerCache, answer: str) -> None:
    behaviour = Behaviour(structured, files_gone=True)
    with batch_server(behaviour) as (url, record):
        job = Job(tmp_path, cache, url)
        wanted = {"answer": answer, "confidence": "said", "explain": True}
        with pytest.raises(InputError, match="does not have the file"):
            job("b", **wanted)
        behaviour.files_gone = False
        done, client = job("b", **wanted)
        (batch,) = record.batches.values()
        assert all("response_format" in row["body"] for row in record.rows(batch)) and len(record.rows(batch)) == 11
        assert done.record["answer_form"] == "json schema" and set(record.submitted.values()) == {1}
        assert record.online == {TEXTS[0]: 2 if answer == "auto" else 1}  # once more, to compare
        assert job.column("llm_confidence_b") == [0.8] * 12 and set(job.column("llm_reason_b")) == {"It says so."}
        again, client = job("b", **wanted)
        assert client.cost.requests == 0 and again.labels == done.labels


def test_the_form_is_found_out_although_the_first_texts_are_refused(tmp_path: Path, cache: AnswerCache) -> None:
    def picky(body: dict[str, Any]) -> str | dict[str, Any]:
        if text_of(body) in TEXTS[:2]:
            return {"message": {"content": None, "refusal": "I cannot help with that."}}
        if "response_format" in body:
            raise RefusalError(400, "Unknown parameter: 'response_format'.")
        return by_word(body)

    with batch_server(Behaviour(picky)) as (url, record):
        job = Job(tmp_path, cache, url)
        done, _ = job()
        assert done.reasons == {"refused": 2} and job.column("llm_label")[2:] == TRUTH[2:]
        assert record.online.keys() == {*TEXTS[:3]} and done.record["answer_form"] == "free"
        assert [row["body"].get("response_format") for row in record.rows(record.batches["batch_0000"])] == [None] * 9


# --- what it cost -----------------------------------------------------------------------------------------------------


def test_batches_cost_half(tmp_path: Path, cache: AnswerCache) -> None:
    whole = (1 + 11 / 2) * ONE
    with batch_server(Behaviour(by_word)) as (url, _):
        job = Job(tmp_path, cache, url)
        done, client = job()
        assert client.cost.dollars == pytest.approx(whole)
        cost = done.record["cost"]
        assert (cost["dollars"], cost["batched_prompt_tokens"]) == (pytest.approx(whole), 11 * PROMPT_TOKENS)
        copy, _ = job("copy")  # by the cache
        assert (copy.record["cost"]["dollars"], copy.record["answers"]["dollars"]) == (0, pytest.approx(whole))


def test_all_sessions_are_in_the_record(tmp_path: Path, cache: AnswerCache) -> None:
    """A session that ended before its batches did has paid for one text, and perhaps for some batches."""
    behaviour = Behaviour(by_word, files_gone=True)
    with batch_server(behaviour) as (url, _):
        job = Job(tmp_path, cache, url)
        noted = list[int]()

        def end(batch: Json) -> str:
            noted.append((tmp_path / "out.csv.partial" / "costs").stat().st_size)
            return "completed"

        behaviour.end = end
        with pytest.raises(InputError, match="does not have the file"):
            job(price=None)
        assert noted[0] > 0  # before the batch came, as it may be killed
        behaviour.files_gone = False
        done, client = job()
        assert client.cost.dollars == pytest.approx(11 / 2 * ONE)
        assert (done.record["cost"]["sessions"], done.record["cost"]["requests"]) == (2, 12)
        assert done.record["cost"]["dollars"] == pytest.approx((1 + 11 / 2) * ONE)
        assert done.record["answers"]["dollars"] == pytest.approx((1 + 11 / 2) * ONE)


def test_a_budget_of_dollars_holds_before_a_batch_is_sent(tmp_path: Path, cache: AnswerCache) -> None:
    with batch_server(Behaviour(by_word)) as (url, record):
        job = Job(tmp_path, cache, url)
        done, client = job(max_dollars=4 * ONE)
        assert client.cost.dollars is not None and 3 * ONE < client.cost.dollars <= 4 * ONE
        assert client.spent == f"${4 * ONE:g}" and done.reasons == {"not asked": 12 - client.cost.requests}
        sent = client.cost.requests
        done, client = job(max_dollars=1.6 * ONE)  # the rate of single requests is not that of batches
        assert sent < record.online.total() + record.submitted.total() <= sent + 2


def test_tokens_that_the_server_does_not_count_are_unknown_dollars(tmp_path: Path, cache: AnswerCache) -> None:
    def uncounted(body: dict[str, Any]) -> dict[str, Any]:
        return {"message": {"content": by_word(body)}}

    with batch_server(Behaviour(uncounted, usage=False)) as (url, _):
        done, client = Job(tmp_path, cache, url)()
        assert client.cost.uncounted == 12 and client.cost.dollars is None
        assert done.record["cost"]["dollars"] == "unknown"


def test_a_budget_that_is_spent_already_ends_without_an_error(tmp_path: Path, cache: AnswerCache) -> None:
    """What a batch of an earlier session left open is asked for later."""
    behaviour = Behaviour(by_word, files_gone=True, end=lambda batch: "expired", done=1 / 11)
    with batch_server(behaviour) as (url, record):
        job = Job(tmp_path, cache, url)
        with pytest.raises(InputError, match="does not have the file"):
            job()
        behaviour.files_gone = False
        done, client = job(max_requests=11)
        assert (client.spent, client.cost.requests, done.n_missing) == ("11 requests", 11, 10)
        assert len(record.batches) == 1


def test_the_python_call_with_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with batch_server(Behaviour(structured)) as (url, record):
        options = {"explain": True, "price_in": 1000.0, "price_out": 2000.0, "max_dollars": 1.0}
        more = {"model": "m", "base_url": url, "output": tmp_path / "out.csv", "batch": True, "name": "b"}
        frame = annotate(TEXTS, CLASSES, **more, **options)
        assert frame["llm_label_b"].tolist() == TRUTH and set(frame["llm_reason_b"]) == {"It says so."}
        assert record.submitted.total() == 11 and not list(tmp_path.glob("*.batch"))
