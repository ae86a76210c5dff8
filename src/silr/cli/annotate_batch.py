"""Batches of `silr annotate`: sent to a server, or as files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from silr.errors import InputError

if TYPE_CHECKING:
    from silr.annotators.api.annotator import ApiAnnotator
    from silr.annotators.api.batch.client import BatchClient
    from silr.annotators.api.batch.offline import Files, OfflineAnnotator
    from silr.annotators.api.client import ChatClient

Options = Mapping[str, Any]


def client_kind(options: Options) -> type[ChatClient]:
    """Who asks: one request at a time, in batches, or nobody."""
    if options["batch_file"] is not None or options["batch_results"] is not None:
        if options["batch"]:
            raise InputError("--batch sends the requests itself: leave it out, or --batch-file and --batch-results")
        from silr.annotators.api.batch.client import OfflineClient

        return OfflineClient
    if options["batch"]:
        from silr.annotators.api.batch.client import BatchClient

        return BatchClient
    from silr.annotators.api.client import ChatClient

    return ChatClient


class Batches:
    """The annotator in the shape that the options want, and what is written and said of batches.

    `annotator` is the given one where there are no batches.
    """

    def __init__(self, options: Options, annotator: Any, api: ApiAnnotator | None, quiet: bool) -> None:
        self._options, self._api, self.annotator = options, api, annotator
        self._client: BatchClient | None = None
        self._offline: OfflineAnnotator | None = None
        self._files: Files | None = None
        if api is None or not (options["batch"] or options["batch_file"] or options["batch_results"]):
            return
        from silr.annotators.api.batch.annotator import BatchAnnotator
        from silr.annotators.api.batch.client import BatchClient, OfflineClient
        from silr.annotators.api.batch.offline import OfflineAnnotator

        client = api.client
        assert isinstance(client, BatchClient)  # see `client_kind`
        self._client = client
        if isinstance(client, OfflineClient):
            self.annotator = self._offline = OfflineAnnotator(annotator, client, options["batch_results"])
        else:
            self.annotator = BatchAnnotator(annotator, client, quiet=quiet)

    @property
    def has_only_files(self) -> bool:
        """Whether requests are written and no table."""
        return self._options["batch_file"] is not None and self._options["batch_results"] is None

    def finish(self) -> None:
        """After the table is written: the requests that are still open, and the budget that was spent."""
        if self._api is not None and self._options["batch"]:
            self._api.stopped_by = self._spent
        if self._options["batch_file"] is not None:
            self._write()

    def written(self, as_json: bool) -> str:
        """Write requests and return what is said of them."""
        self._write()
        return json.dumps(self.values()) if as_json else "\n".join(self.lines())

    def values(self) -> dict[str, object]:
        """What --json has of batches."""
        values: dict[str, object] = {}
        if self._api is not None and self._options["batch"]:
            cost = self._api.cost
            tokens = {"prompt_tokens": cost.batched_prompt_tokens, "completion_tokens": cost.batched_completion_tokens}
            values["batched"] = {"requests": cost.batched_requests, **tokens}
        if self._offline is not None:
            values["open_requests"] = self._offline.n_open
        if self._files is not None:
            values |= {"open_requests": self._files.requests, "files": [str(path) for path in self._files.paths]}
        return values

    def lines(self) -> Iterator[str]:
        """What is said of batches."""
        cost = None if self._api is None else self._api.cost
        if cost is not None and self._options["batch"] and cost.batched_requests:
            tokens = cost.batched_prompt_tokens + cost.batched_completion_tokens
            yield f"in batches, at half the price: {cost.batched_requests:,} requests, {tokens:,} tokens"
        if self._files is not None:
            yield from self._of_files(self._files)
        elif self._offline is not None and self._offline.n_open:
            yield f"{self._offline.n_open:,} requests are still open: --batch-file FOLDER writes them"

    def _of_files(self, files: Files) -> Iterator[str]:
        if self._spent and self.has_only_files:
            yield f"stopped at the budget of {self._spent}; run again with a higher one to go on"
        if not files.requests:
            yield "no request is open: all answers are known"
            return
        folder = self._options["batch_file"]
        yield f"written: {files.requests:,} requests in {folder}. Have them answered, for instance by vLLM:"
        for command in files.commands(self._options["model"]):
            yield f"  {command}"
        yield f"then run the same command with --batch-results {folder} instead of --batch-file {folder}"

    @property
    def _spent(self) -> str | None:
        """The budget that ended the collection of requests."""
        return None if self._client is None else self._client.spent

    def _write(self) -> None:
        assert self._offline is not None
        options = self._options
        self._files = self._offline.write(options["batch_file"], options["table"], options["text_column"])
