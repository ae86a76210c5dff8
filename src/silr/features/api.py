"""Embeddings of a model behind an OpenAI-compatible server."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from silr.annotators.api.addresses import given_address, server_name
from silr.errors import InputError
from silr.features.base import Matrix
from silr.io.corpus import digest
from silr.io.files import Json, read_json, write_json

if TYPE_CHECKING:
    from silr.annotators.api.embeddings import EmbeddingsClient

KIND, PREFIX = "api", "api:"  # in a record, and in the name of features on the command line
_OPTIONS = {  # of the command line
    "base_url": "--features-url",
    "dimensions": "--features-dimensions",
    "max_requests": "--max-requests",
    "max_tokens_total": "--max-tokens-total",
}


class ApiFeatures:
    """Embeddings of texts by the ``/v1/embeddings`` of an OpenAI-compatible server.

    Each embedding is kept when it comes, in the SQLite file of `cache`: nothing is paid for twice. The key is in the
    environment: ``SILR_EMBEDDINGS_API_KEY``, or ``OPENAI_API_KEY``.

    Parameters
    ----------
    model : str
        The server's name for it.
    base_url : str, default None
        Such as ``http://127.0.0.1:8000/v1``. None: that of ``OPENAI_BASE_URL``, or OpenAI's own.
    dimensions : int, default None
        Width that is asked for, of models that have several. None: the model's own.
    max_requests, max_tokens_total : int, default None
        Budget of this session; where it is spent, the same call goes on later.
    rpm, tpm : int, default None
        Requests and tokens a minute, at most.
    concurrency : int, default 4
        Requests at a time.
    timeout : float, default 120
        Seconds to wait for an answer.
    cache : Path, default None
        None: ``answers.sqlite`` in the user's cache.

    Attributes
    ----------
    width : int or None
        Numbers a text, once it is known.
    n_cut, n_lacking : int
        Of the last texts: how many the server did not take whole, and how many have no embedding but zeros.

    Examples
    --------
    >>> from silr import ApiFeatures, LabelRefiner
    >>> features = ApiFeatures("text-embedding-3-small", base_url="https://api.openai.com/v1", dimensions=512)
    >>> LabelRefiner(features=[features, "tfidf"]).fit(texts, llm_labels, gold=gold)  # doctest: +SKIP
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        dimensions: int | None = None,
        max_requests: int | None = None,
        max_tokens_total: int | None = None,
        rpm: int | None = None,
        tpm: int | None = None,
        concurrency: int = 4,
        timeout: float = 120.0,
        cache: str | Path | None = None,
    ) -> None:
        if not model.strip():
            raise InputError("--features api:MODEL needs the server's name of an embeddings model")
        self.model, self.base_url, self.dimensions = model, base_url, dimensions
        self.max_requests, self.max_tokens_total = max_requests, max_tokens_total
        self.rpm, self.tpm = rpm, tpm
        self.concurrency, self.timeout, self.cache = concurrency, timeout, cache
        self.width: int | None = None
        self.n_cut = self.n_lacking = 0
        self._server: str | None = None
        self._client: EmbeddingsClient | None = None
        self._say: Callable[[str], None] | None = None

    def __repr__(self) -> str:
        named = {"base_url": self.base_url, "dimensions": self.dimensions}
        words = [repr(self.model), *(f"{name}={value!r}" for name, value in named.items() if value is not None)]
        return f"ApiFeatures({', '.join(words)})"

    def __getstate__(self) -> Json:
        return {**vars(self), "_client": None, "_say": None}  # a copy gets a connection of its own

    @property
    def record(self) -> Json:
        """The server without credentials, the model, and the dimensions that were asked for."""
        if self._server is None:
            self._server = server_name(given_address(self.base_url))
        record: Json = {"kind": KIND, "server": self._server, "model": self.model}
        return record if self.dimensions is None else {**record, "dimensions": self.dimensions}

    @classmethod
    def of_record(cls, record: Json, width: int | None = None) -> ApiFeatures:
        """The same features again, from their record; `width` is the one that they had."""
        version = record.get("api_version")  # Azure's
        address = record["server"] if version is None else f"{record['server']}?api-version={version}"
        features = cls(record["model"], base_url=address, dimensions=record.get("dimensions"))
        features._server, features.width = record["server"], width
        return features

    def narrate(self, say: Callable[[str], None]) -> None:
        """Show progress from now on, and say how many texts were cut."""
        self._say = say

    def at(self, url: str) -> None:
        """Ask the same model under another address from now on."""
        given_address(url)
        self.base_url, self._client = url, None

    def fit_transform(self, texts: Sequence[str]) -> Matrix:
        """Embeddings of the corpus, float16 of shape (n, d); equal texts are asked about once, empty ones are zero."""
        return self.transform(texts)

    def transform(self, texts: Sequence[str]) -> Matrix:
        """Embeddings of new texts, float16 of shape (n, d); InputError if they have another width than those before."""
        if self._client is None:
            self._client = self._connect()
        matrix, self.n_cut, self.n_lacking = self._client.embed(texts, quiet=self._say is None)
        self.width = matrix.shape[1]
        if self._say is not None:
            cost = self._client.cost  # of this session
            spent = f"{cost.requests:,} requests, {cost.tokens:,} tokens"
            self._say(f"embeddings by {self.model}: {spent}; {cost.cached:,} were known already")
        if self._say is not None and self.n_cut:
            self._say(f"{self.n_cut:,} texts are longer than {self.model} reads and were cut")
        if self._say is not None and self.n_lacking:
            self._say(f"{self.n_lacking:,} texts got no embedding: {self.model} counts them as zeros")
        return matrix

    def _connect(self) -> EmbeddingsClient:
        from silr.annotators.api.embeddings import EmbeddingsClient
        from silr.annotators.api.vectors import VectorCache

        names = ("dimensions", "width", "max_requests", "max_tokens_total", "rpm", "tpm", "concurrency", "timeout")
        options: dict[str, Any] = {name: getattr(self, name) for name in names}
        cache = VectorCache(None if self.cache is None else Path(self.cache))
        return EmbeddingsClient(self.model, cache, base_url=self.base_url, say=self._say, **options)

    def save(self, folder: Path) -> None:
        """Write the record and the width into an existing folder."""
        write_json(folder / file_name(self.record), {**self.record, "width": self.width})


def check_server(specs: Sequence[str], server: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the options of an embeddings server that are given; InputError if no features come from one."""
    given = {name: value for name, value in (server or {}).items() if value is not None}
    if given and not any(spec.startswith(PREFIX) for spec in specs):
        named = ", ".join(_OPTIONS.get(name, name) for name in given)
        raise InputError(f"the options of an embeddings server ({named}) go with --features api:MODEL")
    return given


def with_server(
    specs: Sequence[str], server: Mapping[str, Any] | None, say: Callable[[str], None]
) -> list[str | ApiFeatures]:
    """Names of features; those of a server become features that know its address and the budget."""
    given = check_server(specs, server)
    named: list[str | ApiFeatures] = []
    for spec in specs:
        if spec.startswith(PREFIX):
            features = ApiFeatures(spec.removeprefix(PREFIX), **given)
            features.narrate(say)
            say(f"features: embeddings by {features.model} at {features.record['server']}")
            named.append(features)
        else:
            named.append(spec)
    return named


def file_name(record: Json) -> str:
    """Where the width of such features lies."""
    return f"api-{digest(json.dumps(record, sort_keys=True))[:8]}.json"


def load_api(record: Json, folder: Path) -> ApiFeatures:
    """The features of a run, from their record and its folder."""
    path = folder / file_name(record)
    return ApiFeatures.of_record(record, read_json(path)["width"] if path.exists() else None)


def read_saved(path: Path) -> ApiFeatures:
    """The features that `ApiFeatures.save` wrote into a file."""
    record = read_json(path)
    width = record.pop("width")
    return ApiFeatures.of_record(record, width)
