"""The bill: before the run, while it is spent, and after it; against a server that counts what it is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from chat_server import COMPLETION_TOKENS, PROMPT_TOKENS, SentError, by_word, chat_server

from command_line import Commands, Result
from silr.annotators.annotate import annotate
from silr.annotators.api.annotator import ApiAnnotator
from silr.annotators.api.cache import AnswerCache
from silr.annotators.api.client import ChatClient
from silr.annotators.api.dry_client import DryClient, ReadOnlyCache
from silr.annotators.api.request import RequestOptions
from silr.annotators.cost import Price
from silr.annotators.dry_run import DryRun, dry_run
from silr.annotators.self_refine import SelfRefineAnnotator
from silr.annotators.table import AnnotationSummary, annotate_file
from silr.errors import InputError

CLASSES = ("negative", "positive")
TEXTS = [f"a {'good' if i % 3 else 'bad'} thing, number {i}" for i in range(20)]
PRICE = Price(1000.0, 2000.0, source="of the test")
ONE = PRICE.dollars(PROMPT_TOKENS, COMPLETION_TOKENS)  # dollars of a request
MODEL = Path(__file__).parents[2] / "made_by_0_1" / "model"


class Job:
    """An annotation of a table by a server, which is run or only reckoned."""

    def __init__(self, folder: Path, url: str, samples: int = 1, refines: bool = False, **client: Any) -> None:
        self.folder, self.url, self.samples, self.refines = folder, url, samples, refines
        self.client = {"price": PRICE, **client}
        self.source, self.output, self.cache = folder / "in.csv", folder / "out.csv", folder / "answers.sqlite"
        if not self.source.exists():
            pd.DataFrame({"text": [*TEXTS, "", TEXTS[0]]}).to_csv(self.source, index=False)

    def annotator(self, client: ChatClient) -> ApiAnnotator:
        return ApiAnnotator(client, CLASSES, samples=self.samples, concurrency=1)

    def run(self, name: str = "") -> tuple[AnnotationSummary, ChatClient]:
        cache = AnswerCache(self.cache)
        client = ChatClient("a-model", cache, base_url=self.url, **self.client)
        annotator = self.annotator(client)
        asking = SelfRefineAnnotator(annotator) if self.refines else annotator
        try:
            return annotate_file(self.source, self.output, asking, quiet=True, name=name), client
        finally:
            cache.close()

    def reckon(self, name: str = "") -> DryRun:
        client = DryClient("a-model", ReadOnlyCache(self.cache), base_url=self.url, **self.client)
        asking = SelfRefineAnnotator(self.annotator(client)) if self.refines else self.annotator(client)
        return dry_run(self.source, self.output, asking, client, words=CLASSES, name=name, price=client.cost.price)


def files(folder: Path) -> dict[str, tuple[int, int]]:
    found = {path: path.stat() for path in folder.rglob("*")}
    return {str(path): (status.st_size, status.st_mtime_ns) for path, status in found.items()}


# --- before the run ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("samples", "refines"), [(1, False), (2, True)])
def test_a_dry_run_asks_nothing_and_counts_what_the_run_asks(tmp_path: Path, samples: int, refines: bool) -> None:
    with chat_server(by_word) as (url, record):
        job = Job(tmp_path, url, samples, refines)
        before = files(tmp_path)
        dry = job.reckon()
        assert (record.requests, files(tmp_path)) == (0, before)
        assert (dry.asked, dry.known, dry.texts.duplicates, dry.texts.empty) == (20, 0, 1, 1)
        job.run()
        assert dry.requests == record.requests == 20 * ({False: samples, True: 2 * samples + 1}[refines])
        assert dry.prompt == record.bodies[0]["messages"]
        usual = [body for body in record.bodies if len(body["messages"]) == 1][-1]  # the first one tries a form
        assert dry.parameters == {name: value for name, value in usual.items() if name != "messages"}
        again = job.reckon()
        assert (again.asked, again.requests, again.known, again.prompt_tokens) == (0, 0, 20, 0)
        assert again.prompt == dry.prompt and again.dollars == 0


def test_what_is_known_and_what_is_finished_is_not_asked_again(tmp_path: Path) -> None:
    with chat_server(by_word) as (url, record):
        Job(tmp_path, url, max_requests=5).run()
        dry = Job(tmp_path, url).reckon()
        assert (dry.asked, dry.known, dry.finished, dry.requests) == (15, 5, 0, 15)
        assert dry.answer_tokens == 15 * COMPLETION_TOKENS and "as the 5 known ones have" in dry.assumed
        assert Job(tmp_path, url).reckon(name="other").asked == 15  # the same question to the same model

        def fail(body: dict[str, Any]) -> str:
            if len(record.answered) > 8:
                raise SentError(401, {"error": {"message": "wrong key"}})
            return by_word(body)

    with chat_server(fail) as (url, record):
        with pytest.raises(InputError, match="wrong key"):
            Job(tmp_path, url).run("b")
        (tmp_path / "answers.sqlite").unlink()
        before = files(tmp_path)
        dry = Job(tmp_path, url).reckon("b")
        assert dry.finished == record.answered.total() > 5 and dry.asked == 20 - dry.finished and not dry.notes
        other = Job(tmp_path, url, samples=2).reckon("b")
        assert other.finished == 0 and "unfinished annotation of something else" in other.notes[0]
        assert files(tmp_path) == before


def test_a_dry_run_finds_the_answers_in_the_form_that_the_run_took(tmp_path: Path) -> None:
    def held(body: dict[str, Any]) -> str:
        return json.dumps({"label": by_word(body)}) if "response_format" in body else by_word(body)

    with chat_server(held) as (url, record):
        job = Job(tmp_path, url)
        job.run()
        assert record.requests == 21  # the first text has a free answer, too
        again = job.reckon()
        assert (again.asked, again.known, again.requests) == (0, 20, 0) and "response_format" in again.parameters


def test_lines_and_values(tmp_path: Path) -> None:
    job = Job(tmp_path, "http://127.0.0.1:9/v1")
    dry = job.reckon()
    said = "\n".join(dry.lines())
    assert "--- user\nIs this text negative or positive?" in said
    assert "<text>\na bad thing, number 0\n</text>\n---" in said
    assert "to be asked about: 20 texts, in 20 requests" in said and "estimated from the characters" in said
    assert "nothing was sent, nothing was written" in said and "sent with model a-model, temperature 0.0" in said
    values = dry.values()
    assert json.loads(json.dumps(values)) == values and values["dollars"] == pytest.approx(dry.dollars)
    assert values["price"] == {"in": 1000.0, "out": 2000.0, "source": "of the test"} and not values["exact"]
    job.client["price"] = None
    unknown = job.reckon()
    assert unknown.values()["dollars"] == "unknown" and unknown.values()["price"] is None
    assert "dollars unknown: a server on this machine has no price list" in "\n".join(unknown.lines())


# --- while it is spent ------------------------------------------------------------------------------------------------


def test_the_budget_of_dollars(tmp_path: Path) -> None:
    with chat_server(by_word) as (url, record):
        with pytest.raises(InputError, match="--max-dollars needs the price of the model"):
            Job(tmp_path, url, price=None, max_dollars=1.0).run()
        first, client = Job(tmp_path, url, max_dollars=6.5 * ONE).run()
        assert record.requests == 7 and first.reasons["not asked"] == 13
        assert client.cost.dollars == pytest.approx(7 * ONE)
        assert first.record["cost"]["dollars"] == pytest.approx(7 * ONE, abs=1e-6)
        second, _ = Job(tmp_path, url).run()
        assert record.requests == 20
        cost, answers = second.record["cost"], second.record["answers"]
        assert (cost["sessions"], cost["requests"], cost["prompt_tokens"]) == (2, 20, 20 * PROMPT_TOKENS)
        assert cost["dollars"] == answers["dollars"] == pytest.approx(20 * ONE, abs=1e-6)
        assert (answers["texts"], answers["from_cache"]) == (20, 7)
        again, _ = Job(tmp_path, url).run("copy")  # all from the cache: nothing now, but it cost that once
        assert (again.record["cost"]["dollars"], again.record["answers"]["dollars"]) == (0, answers["dollars"])


def test_a_stopped_annotation_is_not_written_over_a_table_with_more_labels(tmp_path: Path) -> None:
    with chat_server(by_word) as (url, record):
        Job(tmp_path, url, max_requests=8).run()
        before = files(tmp_path)
        del before[str(tmp_path / "answers.sqlite")]
        for budget, n_labels in (({"max_dollars": 0.0}, 0), ({"max_requests": 3}, 4)):  # the first text is there twice
            job = Job(tmp_path, url, options=RequestOptions(temperature=0.5), **budget)
            done, _ = job.run()
            said = f"out.csv has 9 labels, and this annotation stopped at {n_labels}; run again to go on"
            assert done.unwritten is not None and done.kept_table().endswith(said)
            assert before.items() <= files(tmp_path).items()
            assert (tmp_path / "out.csv.partial").exists() == (n_labels > 0)
        options = {"temperature": 0.5, "max_requests": 4, "price_in": 1, "price_out": 1, "cache": job.cache}
        with pytest.warns(UserWarning, match="kept as it is: .* has 9 labels, and this annotation stopped at 8"):
            frame = annotate(job.source, CLASSES, model="a-model", base_url=url, output=job.output, **options)
        assert frame["llm_label"].notna().sum() == 8 and before.items() <= files(tmp_path).items()
        job.client["max_requests"] = 100  # it goes on, and what was paid is in the record
        done, _ = job.run()
        assert done.unwritten is None and done.record["cost"]["requests"] == 20
        assert pd.read_csv(job.output)["llm_label"].notna().sum() == 21 and record.requests == 28


def test_a_resumed_annotation_adds_up(tmp_path: Path) -> None:
    def fail(body: dict[str, Any]) -> str:
        if len(record.answered) > 4 and not record.faults["mended"]:
            raise SentError(402, {"error": {"message": "no money", "code": "insufficient_quota"}})
        return by_word(body)

    with chat_server(fail) as (url, record):
        with pytest.raises(InputError, match="no money"):
            Job(tmp_path, url, price=None).run()
        with (tmp_path / "out.csv.partial" / "costs").open("ab") as file:
            file.write(b"torn")  # by a kill
        record.faults["mended"] += 1
        done, _ = Job(tmp_path, url).run()
        assert done.n_resumed > 0 and done.record["cost"]["sessions"] == 2
        assert done.record["cost"]["dollars"] == pytest.approx(20 * ONE, abs=1e-6)  # the first part at today's price
        assert done.record["answers"]["from_cache"] == 0 and done.record["answers"]["texts"] == 20


def test_tokens_that_are_cheaper_or_not_counted(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 80}}

    def answer(body: dict[str, Any]) -> dict[str, Any]:
        return {"message": {"content": by_word(body)}, "usage": usage}

    price = Price(1.0, 10.0, 0.1)
    with chat_server(answer) as (url, _):
        _, client = Job(tmp_path, url, price=price).run()
        assert client.cost.cached_prompt_tokens == 1600
        assert client.cost.dollars == pytest.approx((20 * 20 * 1.0 + 20 * 80 * 0.1 + 20 * 10.0) / 1e6)
    usage.clear()
    (tmp_path / "more").mkdir()
    with chat_server(answer) as (url, record):
        done, client = Job(tmp_path / "more", url, price=PRICE, max_dollars=0.5).run()
        assert client.cost.dollars is None and client.cost.uncounted == record.requests < 20  # estimated, and stopped
        assert done.record["cost"]["dollars"] == "unknown" and done.record["cost"]["uncounted"] == record.requests


# --- as a user has it -------------------------------------------------------------------------------------------------


def refused(result: Result, *said: str) -> None:
    assert result.code == 2 and result.err.startswith("silr: ") and result.err.count("\n") == 1, result
    for words in said:
        assert words in result.err, result.err


@pytest.mark.slow
def test_commands(commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "SILR_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    table, out = tmp_path / "in.csv", tmp_path / "out.csv"
    gold = ["positive" if "good" in text else "negative" for text in TEXTS]
    pd.DataFrame({"text": TEXTS, "gold": gold}).to_csv(table, index=False)
    common = ["annotate", table, "-o", out, "--classes", "negative", "positive"]
    before = files(tmp_path)
    openai = commands(*common, "--annotator", "api", "--model", "gpt-5-mini", "--dry-run")  # without a key
    assert openai.code == 0 and "by silr's table of" in openai.out and "cost: about $0.0" in openai.out, openai
    local = commands(*common, "--model", MODEL, "--dry-run", "--json")
    assert local.code == 0 and "dollars" not in (values := json.loads(local.out)) and values["exact"], local
    assert values["asked"] == 20 and TEXTS[0] in values["prompt"]
    dear = ["--annotator", "api", "--model", "gpt-9", "--max-dollars", 1, "--dry-run"]
    refused(commands(*common, *dear), "--max-dollars needs the price")
    refused(commands(*common, "--model", MODEL, "--dry-run", "--tokenizer", MODEL), "--tokenizer is for a model behind")
    refused(commands(*common, "--annotator", "api", "--model", "m", "--dry-run", "--prices", table), "is no price file")
    refused(commands(*common, "--annotator", "api", "--model", "m", "--price-in", -1, "--price-out", 1), "--price-in")
    assert files(tmp_path) == before
    with chat_server(by_word) as (url, record):
        served = [*common, "--base-url", url, "--model", "m", "--cache", tmp_path / "answers.sqlite"]
        first = commands(*served)
        assert "dollars unknown: a server on this machine" in first.out, first
        served[1] = out
        second = commands(*served, "--name", "b", "--model", "n", "--price-in", 1, "--price-out", 2)
        assert second.code == 0 and "spent: $0.00046 ($1 in and $2 out a million tokens" in second.out, second
        assert "a thousand texts" in second.out and record.requests == 40
        refused(commands(*served, "--name", "a b"), "--name 'a b'")
    compared = json.loads(commands("evaluate", out, "--json").out)
    assert list(compared["labels"]) == ["llm_label", "llm_label_b"] and compared["gold"] == 20
    assert compared["labels"]["llm_label"]["dollars_a_thousand"] == "unknown"
    assert compared["labels"]["llm_label_b"]["dollars_a_thousand"] == pytest.approx(0.023)


@pytest.mark.slow
def test_a_dry_run_has_all_options_of_the_run(
    commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    gold = ["positive" if "good" in text else "negative" for text in TEXTS]
    pd.DataFrame({"text": TEXTS, "gold": gold}).to_csv(tmp_path / "in.csv", index=False)
    pd.DataFrame({"text": [TEXTS[4].upper()], "label": ["positive"]}).to_csv(tmp_path / "shown.csv", index=False)
    common = ["annotate", "in.csv", "-o", "out.csv", "--model", "m", "--classes", "negative,positive"]
    common += ["--cache", "answers.sqlite", "--price-in", 1, "--price-out", 2]

    def dry(*more: object) -> dict[str, Any]:
        done = commands(*common, *more, "--dry-run", "--json", cwd=tmp_path)
        assert done.code == 0, done
        values: dict[str, Any] = json.loads(done.out)
        return values

    def structured(body: dict[str, Any]) -> str:
        return json.dumps({"label": by_word(body), "confidence": 90, "reason": "It says so."})

    with chat_server(structured) as (url, record):
        plain = dry("--base-url", url)
        batch = dry("--base-url", url, "--batch")
        assert batch["dollars"] == pytest.approx(plain["dollars"] / 2) and batch["price"]["factor"] == 0.5
        assert batch["notes"][-1] == "batches cost half the price; one text is asked about at the full one"
        for more in (["--answer", "structured"], ["--answer", "structured", "--confidence", "said", "--explain"]):
            there = len(record.bodies)
            values = dry("--base-url", url, *more)
            done = commands(*common, "--base-url", url, *more, cwd=tmp_path)
            first = record.bodies[there]
            assert done.code == 0 and {"messages": values["prompt"], **values["parameters"]} == first, done
            assert values["asked"] == values["requests"] == len(record.bodies) - there == 20
            assert values["answer_tokens"] >= 2 * plain["answer_tokens"]  # an object, and a reason
            assert dry("--base-url", url, *more)["asked"] == 0  # what is known by the form
        asked = len(record.bodies)
        for more in ([], ["--dry-run"], ["--batch"], ["--batch-file", "b"]):
            shown = [*common, *([] if "b" in more else ["--base-url", url]), "--few-shot", "shown.csv", *more]
            refused(commands(*shown, cwd=tmp_path), "row 5: this text has a gold label and is an example in the prompt")
        assert len(record.bodies) == asked and not (tmp_path / "b").exists()
