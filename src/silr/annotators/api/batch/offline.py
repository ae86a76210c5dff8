"""Batches as files, for vLLM's `run-batch` and its like: requests are written, and results read, without a server."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import NamedTuple

from silr.annotators.api.batch.annotator import Scoring, Wrapped
from silr.annotators.api.batch.client import OfflineClient
from silr.annotators.api.batch.lines import Limits, write_requests
from silr.annotators.api.batch.questions import questions, requests
from silr.annotators.api.batch.results import Failure, Tokens, batched, read_rows
from silr.annotators.api.replies import Reply
from silr.annotators.base import identity_of
from silr.annotators.examples import check_examples
from silr.errors import InputError
from silr.io import corpus
from silr.io.files import os_errors
from silr.io.resumable import Kind, resumable
from silr.io.texts import distinct

KIND = Kind(
    "batch.json",
    "lock",
    busy="another process writes requests into {}; wait for it or stop it",
    other="holds requests about other texts, or for another model or prompt ({}); give another folder",
)
_CHUNK = 1000  # answers written to the cache at a time


class Files(NamedTuple):
    """Files of requests."""

    paths: list[Path]
    requests: int

    def commands(self, model: str) -> Iterator[str]:
        """Yield the commands that have them answered."""
        for path in self.paths:
            results = path.with_name(path.name.replace("requests", "results"))
            yield f"vllm run-batch -i {path} -o {results} --model {model}"


class OfflineAnnotator(Wrapped):
    """Scores texts by the results of batches that somebody else ran.

    Parameters
    ----------
    annotator : ApiAnnotator or SelfRefineAnnotator
        It asks through `client`.
    client : OfflineClient
    results : Path, default None
        Folder whose ``.jsonl`` files have results of requests.
    """

    def __init__(self, annotator: Scoring, client: OfflineClient, results: Path | None = None) -> None:
        super().__init__(annotator, client)
        self._results, self.n_open = results, 0

    @contextmanager
    def prepare(
        self,
        texts: Sequence[str],
        identity: Mapping[str, object],
        output: Path,
        name: str = "",
        note_cost: Callable[[], None] = lambda: None,
    ) -> Iterator[None]:
        """Read the results into the cache; InputError if they are of other texts, or of another model or prompt."""
        del identity, output, name, note_cost
        cost = self._client.cost
        before = vars(cost).copy()
        with self._client.open():
            keys = set() if self._results is None else self._read(self._results)
            self._annotator.take_form(texts)
            self.n_open = sum(1 for _ in questions(self._annotator.score_batch, _filled(texts), self._client))
            self.remarks.provenance.clear()  # who answered is counted where the texts are scored
        others = keys - self._client.asked
        if self._results is not None and not keys:
            raise InputError(f"{self._results} has no results of a batch: no .jsonl file has rows with a response")
        if keys and others == keys:
            vars(cost).update(before)  # they are no costs of this annotation
            raise InputError(
                f"{self._results} has no results of these texts: other texts were asked about, or with another model, "
                "server, prompt or option"
            )
        if others:
            self._client.say(f"{len(others):,} of {len(keys):,} results are of other questions, and are left out")
        yield

    def write(
        self,
        folder: Path,
        source: str | Path,
        text_column: str = "text",
        limits: Limits = Limits(),  # noqa: B008 - a tuple
    ) -> Files:
        """Write requests for the questions about a table that are open, in the place of earlier ones without results.

        Results in the folder are read first. InputError if it has requests about other texts, or for another model or
        prompt, or if gold texts are examples in the prompt.
        """
        frame = corpus.read_table(source)
        texts = corpus.text_column(frame, text_column, source)
        unique, _ = distinct(texts)
        annotator = identity_of(self)
        check_examples(annotator, frame, texts, source)
        identity = {"texts": corpus.corpus_hash(unique), "annotator": annotator}
        with resumable(folder, KIND, identity), self._client.open(), os_errors(f"cannot write into {folder}"):
            if folder != self._results:
                self._read(folder)
            cost = self._client.cost
            counts = cost.requests, cost.under_way
            answered = max(_numbers(folder, "results"), default=0)
            names = (folder / f"requests-{number}.jsonl" for number in count(answered + 1))
            self._annotator.take_form(unique)
            still_open = requests(self._annotator.score_batch, _filled(unique), self._client)
            files = list(write_requests(still_open, names, limits))
            cost.requests, cost.under_way = counts  # nothing was sent
            for number in _numbers(folder, "requests"):
                if number > answered + len(files):
                    (folder / f"requests-{number}.jsonl").unlink()
        return Files([file.path for file in files], sum(file.requests for file in files))

    def _read(self, folder: Path) -> set[str]:
        """Put the results of a folder into the cache, and return the hashes of their questions."""
        client, keys = self._client, set[str]()
        for path in sorted(folder.glob("*.jsonl")):
            with os_errors(f"cannot read {path}"), path.open("rb") as lines:
                for rows in batched(read_rows(lines, discounted=client.is_discounted), _CHUNK):
                    keys.update(row.key for row in rows)
                    new = {row.key: row for row in rows if client.cache.get(row.key) is None}
                    answers = {row.key: row.result for row in new.values() if isinstance(row.result, Reply)}
                    client.cache.put_all((key, reply.to_json()) for key, reply in answers.items())
                    client.failures |= {key: row.result for key, row in new.items() if isinstance(row.result, Failure)}
                    client.budget.take_up(0, len(new))
                    client.take_in(answers, len(new), 0, Tokens.of(new.values()))
        client.failures = {key: failure for key, failure in client.failures.items() if client.cache.get(key) is None}
        return keys


def _filled(texts: Sequence[str]) -> list[str]:
    return [text for text in texts if text.strip()]


def _numbers(folder: Path, kind: str) -> list[int]:
    """The numbers in the names of requests or results."""
    found = (re.fullmatch(rf"{kind}-(\d+)\.jsonl", path.name) for path in folder.iterdir())
    return [int(match[1]) for match in found if match]
