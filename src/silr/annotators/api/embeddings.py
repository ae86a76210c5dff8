"""Embeddings of texts by an OpenAI-compatible server: in batches, several at a time, and each paid for once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from silr.annotators.api.budget import BudgetSpentError
from silr.annotators.api.connection import connect
from silr.annotators.api.embedding_exchange import EmbeddingsExchange
from silr.annotators.api.exchange import LATER, NoAnswerError, PassingError, RefusedError, TextTooLongError
from silr.annotators.api.length_limit import seems_cut
from silr.annotators.api.pace import StoppedError
from silr.annotators.api.refusals import Kind, Refusal
from silr.annotators.api.request import RequestOptions
from silr.annotators.api.server_client import ServerClient
from silr.annotators.api.vectors import Half, Vector, VectorCache
from silr.annotators.api.workers import Workers
from silr.annotators.cost import Price
from silr.annotators.missing import Missing
from silr.errors import InputError
from silr.io.progress import progress
from silr.io.texts import distinct

TEXTS, CHARACTERS = 64, 32_000  # of a request, at most; a longer text is asked about alone
CONCURRENCY = 4
MOST_LACKING, FEW_LACKING = 0.05, 20  # share of the texts that may get none; it stops before the end beyond so many
_LABELS_KEY = re.compile(r"set (\w+) or SILR_API_KEY")
_CUT_MARGIN, _GUIDED_CUTS, _MOST_CUTS = 0.95, 3, 20
_MOST_BROKEN = 2  # unusable answers to several texts, before they are asked about in halves
KEYS = ("SILR_EMBEDDINGS_API_KEY",)  # variables of a key before the usual ones
BASE64, FLOAT = {"encoding_format": "base64"}, {"encoding_format": "float"}


class Embedded(NamedTuple):
    """Embeddings of n texts, shape (n, d), and how many texts were cut or got none; rows of those are zero."""

    matrix: Half
    n_cut: int
    n_lacking: int


class OptionNames(NamedTuple):
    """What names the model, the address and the width where the user gave them."""

    model: str = "--features api:MODEL"
    url: str = "--features-url"
    dimensions: str = "--features-dimensions"


class EmbeddingsClient(ServerClient):
    """Asks a server for embeddings. It waits, tries again, counts and gives up as for chats; see `ServerClient`.

    A text that is too long is cut to what the server says, or halved. What a server refuses of several texts together
    it gets in halves: one bad text costs no other its embedding.

    Parameters
    ----------
    model : str
    cache : VectorCache
    base_url : str, default None
        None: that of ``OPENAI_BASE_URL``, or OpenAI's own. The key is that of ``SILR_EMBEDDINGS_API_KEY``, or else that
        of a chat.
    api_version, headers
        As of `ChatClient` and `RequestOptions`.
    dimensions : int, default None
        Width that is asked for. None: the model's own.
    width : int, default None
        Width that the embeddings must have, where others have it already.
    max_requests, max_tokens_total, max_dollars, price, rpm, tpm : default None
        As of `ChatClient`.
    concurrency : int, default 4
        Requests at a time.
    timeout, retries, say
        As of `ChatClient`.
    names : OptionNames
        How errors name the options.
    """

    _exchange: EmbeddingsExchange

    def __init__(
        self,
        model: str,
        cache: VectorCache,
        *,
        base_url: str | None = None,
        api_version: str | None = None,
        headers: Mapping[str, str] | None = None,
        dimensions: int | None = None,
        width: int | None = None,
        max_requests: int | None = None,
        max_tokens_total: int | None = None,
        max_dollars: float | None = None,
        price: Price | None = None,
        rpm: int | None = None,
        tpm: int | None = None,
        concurrency: int = CONCURRENCY,
        timeout: float = 120.0,
        retries: int = 8,
        say: Callable[[str], None] | None = None,
        names: OptionNames = OptionNames(),  # noqa: B008 - immutable
    ) -> None:
        self._names = names
        try:
            connection = connect(base_url, api_version=api_version, headers=headers, timeout=timeout, keys=KEYS)
        except InputError as error:
            raise InputError(self._reworded(str(error))) from error
        super().__init__(
            EmbeddingsExchange(connection, model),
            RequestOptions(headers=headers),
            max_requests=max_requests,
            max_tokens_total=max_tokens_total,
            max_dollars=max_dollars,
            price=price,
            rpm=rpm,
            tpm=tpm,
            timeout=timeout,
            retries=retries,
            say=say,
        )
        self._vectors, self._dimensions, self.width = cache, dimensions, width
        self._may_begin_anew = width is None
        self._about: dict[str, object] = {"server": self.server, "model": model}
        self._about |= {} if dimensions is None else {"dimensions": dimensions}
        self._concurrency, self._encoding = concurrency, BASE64
        self._most = TEXTS  # of a request
        self._shortest_refused: float = np.inf  # characters of the shortest text that was too long

    def embed(self, texts: Sequence[str], quiet: bool = True) -> Embedded:
        """Return the embeddings of texts; equal texts are asked about once, and empty ones are zero.

        Raises
        ------
        InputError
            The server refuses all requests, embeddings have another width than those before, more than one text in
            twenty gets none, or the budget is spent. What came is kept, and the same call goes on from there.
        """
        unique, where = distinct(texts)
        filled = [text for text in unique if text.strip()]
        job = _Job(len(filled), self._vectors.known(self._about, filled))
        for vector in job.vectors.values():
            self._check_width(len(vector.values), f"{self._vectors.path} holds")
        self._budget.cost.cached += len(job.vectors)
        try:
            self._work(job, [text for text in filled if text not in job.vectors], quiet)
        except BudgetSpentError as error:
            raise InputError(
                f"stopped at the budget of {error} with embeddings of {len(job.vectors):,} of {len(filled):,} texts; "
                "they are kept, and the same command with a higher budget goes on from there"
            ) from error
        lacking = [text for text in filled if text not in job.vectors]
        if self.width is None or len(lacking) > MOST_LACKING * len(filled):
            raise InputError(self._lacking(job, len(lacking)))
        nothing = Vector(np.zeros(self.width, np.float16))
        rows = [job.vectors.get(text, nothing) for text in unique]
        matrix = np.array([row.values for row in rows], np.float16)
        cut = np.array([row.cut for row in rows], np.bool_)[where]
        none = np.array([text.strip() != "" and text not in job.vectors for text in unique], np.bool_)[where]
        return Embedded(matrix[where], int(cut.sum()), int(none.sum()))

    def describe(self) -> dict[str, object]:
        """Return server, model, dimensions and Azure's version, ready for JSON. Keys and passwords are left out."""
        return {"kind": "api", **self._about, **super().describe()}

    # --- many texts -----------------------------------------------------------------------------------------------

    def _work(self, job: _Job, left: list[str], quiet: bool) -> None:
        """Ask for embeddings, several requests at a time; the longest texts first."""
        if not left:
            return
        batches, before = list(_batches(left)), sum(map(len, job.vectors))
        total, end = before + sum(map(len, left)), None
        workers = Workers(partial(self._first_alone, job), enumerate(batches), self._concurrency, self.stop)
        shown = progress("Embedding", total, "texts", done=before, state=str(job), quiet=quiet)
        with shown as advance, self.open(), closing(workers.groups()) as groups:
            for group in groups:
                for number, _, error in group:
                    if error is None:
                        advance(sum(map(len, batches[number])), len(batches[number]), str(job))
                        continue
                    workers.end()
                    if not isinstance(error, BudgetSpentError):  # else what is under way is finished
                        self.stop()
                    end = end if isinstance(error, StoppedError) else end or error
        if end is not None:
            raise end

    def _first_alone(self, job: _Job, texts: list[str]) -> None:
        """Embed texts; until a server has answered, these alone."""
        with self._turn():
            self._embed(job, texts)

    def _embed(self, job: _Job, texts: list[str]) -> bool:
        """Ask about texts in as few requests as the server is known to allow; tell whether it took all as they are."""
        long = [text for text in texts if len(text) >= self._shortest_refused]
        short = [text for text in texts if len(text) < self._shortest_refused]
        parts = [[text] for text in long] + [short[at : at + self._most] for at in range(0, len(short), self._most)]
        taken = [self._together(job, part) for part in parts]
        return all(taken)

    def _together(self, job: _Job, texts: list[str]) -> bool:
        """Ask about texts at once, in halves where the server does not take them so, and cut one that is too long."""
        try:
            vectors = self._ask_for(texts)
        except StoppedError:
            raise
        except _DividedError:
            half = (len(texts) + 1) // 2
            taken = [self._embed(job, part) for part in (texts[:half], texts[half:])]
            if all(taken):  # it was not about one of them
                self._most = min(self._most, half)
            return all(taken)
        except TextTooLongError as error:
            self._shortest_refused = min(self._shortest_refused, len(texts[0]))
            self._cut(job, texts[0], error)
        except NoAnswerError as error:
            self._fail(job, texts, error)
        else:
            self._keep(job, texts, vectors, cut=False)
            return True
        return False

    def _cut(self, job: _Job, text: str, error: TextTooLongError) -> None:
        """Ask about the beginning of a text that is too long."""
        kept = len(text)
        for attempt in range(_MOST_CUTS):
            share = error.share if attempt < _GUIDED_CUTS and error.share is not None else 0.5
            kept = int(kept * share * (_CUT_MARGIN if share != 0.5 else 1.0))
            if not text[:kept].strip():
                break
            try:
                vectors = self._ask_for([text[:kept]])
            except StoppedError:
                raise
            except TextTooLongError as again:
                error = again
            except NoAnswerError as failure:
                self._fail(job, [text], failure)
                return
            else:
                self._keep(job, [text], vectors, cut=True)
                return
        self._fail(job, [text], error)

    def _fail(self, job: _Job, texts: list[str], error: NoAnswerError) -> None:
        """Note why texts get no embedding, and end the job where these are too many to go on."""
        job.failures.update(dict.fromkeys(texts, error))
        if len(job.failures) > max(FEW_LACKING, MOST_LACKING * job.n):
            self._stop(self._lacking(job, len(job.failures)))

    def _keep(self, job: _Job, texts: list[str], matrix: Half, cut: bool) -> None:
        with self._lock:
            self._check_width(matrix.shape[1], "the server gives")
        vectors = [Vector(values, cut) for values in matrix]
        self._vectors.keep(self._about, texts, vectors)
        job.vectors.update(zip(texts, vectors, strict=True))

    def _check_width(self, width: int, who: str) -> None:
        if self._dimensions not in (None, width):
            option = self._names.dimensions
            self._stop(f"{who} {width:,} numbers a text for {self.model}, not {self._dimensions:,}: leave out {option}")
        if self.width not in (None, width):
            self._stop(
                f"{who} {width:,} numbers a text for {self.model}, where texts before have {self.width:,}: another "
                f"model has this name now at {self.server}"
                + (f"; to begin anew, move {self._vectors.path} away" if self._may_begin_anew else "")
            )
        self.width = width

    # --- one request --------------------------------------------------------------------------------------------------

    def _ask_for(self, texts: list[str]) -> NDArray[np.float16]:
        """Embeddings of texts, shape (n, d). A `_DividedError` says that fewer texts may go; see `_attempt`."""
        broken = 0

        def attempt() -> NDArray[np.float16]:
            nonlocal broken
            try:
                return self._attempt_at(texts)
            except PassingError as error:
                status = None if error.refusal is None else error.refusal.status
                broken += error.timeout or error.unusable or status == 500
                if len(texts) > 1 and broken >= (1 if error.timeout else _MOST_BROKEN):
                    self._may_pass(error)  # counts it, and stops the job where nothing has come of many
                    raise _DividedError(self._words(str(error))) from error
                raise

        while True:
            encoding = self._encoding
            try:
                vectors = self._with_retries(attempt)
                break
            except PassingError as error:
                if encoding == FLOAT or not self._may_be_about_parameters(error):
                    self._give_up(error)
                self._encoding, self._tried = FLOAT, True
            except RefusedError as error:
                if not self._may_be_encoding(error.refusal, encoding):
                    self._raise(error.refusal, texts)
                self._encoding = FLOAT
        self._note_answer()
        return vectors

    def _attempt_at(self, texts: list[str]) -> NDArray[np.float16]:
        self._check_end()
        before = self.cost.prompt_tokens
        options = self._encoding if self._dimensions is None else {**self._encoding, "dimensions": self._dimensions}
        try:
            with self._budget.request(sum(map(len, texts))) as paid:
                vectors = self._exchange.embed(texts, options, paid, self._answered)
        except InputError as error:
            self._end = error
            raise
        if len(texts) == 1 and seems_cut(texts, self.cost.prompt_tokens - before):
            self.say("the server seems to cut long texts without a word: it counts far fewer tokens than they have")
        return vectors

    def _may_be_encoding(self, refusal: Refusal, encoding: dict[str, str]) -> bool:
        """Whether a refusal may be about numbers in base64."""
        if encoding == FLOAT:
            return False
        about = "encoding_format" in refusal.everything or "base64" in refusal.everything
        return about or (refusal.kind is Kind.UNCLEAR and not self._answered)

    def _raise(self, refusal: Refusal, texts: list[str]) -> None:
        """Raise what a refusal leads to."""
        if self._dimensions is not None and ("dimension" in refusal.everything or "matryoshka" in refusal.everything):
            option = f"leave out {self._names.dimensions}, or give a width that {self.model} has"
            self._stop(f"the server refuses {self._dimensions:,} dimensions: {self._words(refusal.words)}; {option}")
        try:
            self._refused(refusal, sum(map(len, texts)))
        except NoAnswerError as error:
            if len(texts) > 1:
                raise _DividedError(str(error)) from error
            raise
        if len(texts) > 1:
            raise _DividedError(refusal.words)
        raise NoAnswerError(Missing.REFUSED, self._words(refusal.words))

    # --- words --------------------------------------------------------------------------------------------------------

    def _stop(self, line: str, error: BaseException | None = None) -> NoReturn:
        super()._stop(self._reworded(line), error)

    def _reworded(self, line: str) -> str:
        """A line about chats in the words of embeddings."""
        named = {"--model has to be": f"{self._names.model} has to be", "--base-url": self._names.url}
        named |= {"/chat/completions": "/embeddings", "; raise --timeout": "; it may be busy"}
        for old, new in named.items():
            line = line.replace(old, new)
        line = line.replace("begins, mostly in /v1", "begins, mostly in /v1, if the server has embeddings at all")
        return _LABELS_KEY.sub(r"set SILR_EMBEDDINGS_API_KEY or \1", line)

    def _lacking(self, job: _Job, n_lacking: int) -> str:
        if not job.n:
            return "there is no text to embed"
        why = f": {next(reversed(list(job.failures.values())))}" if job.failures else ""
        return f"{n_lacking:,} of {job.n:,} texts got no embedding from {self.server}{why}; {LATER}"


@dataclass
class _Job:
    n: int  # texts that are not empty
    vectors: dict[str, Vector]
    failures: dict[str, NoAnswerError] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{len(self.vectors):,} of {self.n:,} texts"


class _DividedError(Exception):
    """The server does not take these texts together."""


def _batches(texts: list[str]) -> Iterator[list[str]]:
    """Texts of like length together, the longest first."""
    batch, size = list[str](), 0
    for text in sorted(texts, key=len, reverse=True):
        if batch and (size + len(text) > CHARACTERS or len(batch) >= TEXTS):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += len(text)
    if batch:
        yield batch
