"""An annotator that has its questions answered in batches before it reads the answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from silr.annotators.api.batch import state
from silr.annotators.api.batch.client import MOST_ATTEMPTS, BatchClient
from silr.annotators.api.batch.lines import Limits
from silr.annotators.api.batch.questions import learn_parameters, requests
from silr.annotators.api.batch.sending import Sending
from silr.annotators.base import Annotator, AroundAnnotator, Scored, Scores


class Scoring(Annotator, Protocol):
    """An annotator that can score the texts of one batch."""

    def score_batch(self, texts: Sequence[str]) -> Scores:
        """Score one text; a NoAnswerError says why there is no label."""

    def take_form(self, texts: Sequence[str]) -> None:
        """Go on in the form in which these texts were answered before."""


class Wrapped(AroundAnnotator):
    """An annotator around one behind a server."""

    n_features = 0
    _annotator: Scoring

    def __init__(self, annotator: Scoring, client: BatchClient) -> None:
        self._annotator, self._client = annotator, client
        self.classes = annotator.classes

    def score_batches(self, batches: Sequence[Sequence[str]]) -> Iterator[Scored]:
        """Score the texts by the answers that are known."""
        return self._annotator.score_batches(batches)

    def describe(self) -> dict[str, object]:
        """Return the annotator's description: a batch gives the same answers as single requests."""
        return self._annotator.describe()


class BatchAnnotator(Wrapped):
    """Sends all questions of a corpus as batches, waits for the answers, and then scores the texts by them.

    What an answer leads to, as a stricter question after one that names no class, is sent in further batches. A request
    that failed is sent three times at most.

    Parameters
    ----------
    annotator : ApiAnnotator or SelfRefineAnnotator
        It asks through `client`.
    client : BatchClient
    limits : Limits
        Of one batch.
    quiet : bool, default False
        Show no progress.
    """

    def __init__(
        self,
        annotator: Scoring,
        client: BatchClient,
        *,
        limits: Limits = Limits(),  # noqa: B008 - a tuple
        quiet: bool = False,
    ) -> None:
        super().__init__(annotator, client)
        self._limits, self._quiet = limits, quiet

    @contextmanager
    def prepare(
        self,
        texts: Sequence[str],
        identity: Mapping[str, object],
        output: Path,
        name: str = "",
        note_cost: Callable[[], None] = lambda: None,
    ) -> Iterator[None]:
        """Have all questions about texts answered; what is on its way is in a folder beside the output meanwhile.

        The same call goes on after a kill. InputError if the folder has batches of another annotation, or the server
        refuses all requests.
        """
        with state.opened(state.batches_path(output, name), identity) as batches:
            sending = Sending(self._client, batches, quiet=self._quiet, note_cost=note_cost)
            self._fill([text for text in texts if text.strip()], batches, sending)
            self.remarks.provenance.clear()  # who answered is counted where the texts are scored
            yield
            state.remove(batches)

    def _fill(self, texts: Sequence[str], batches: state.Batches, sending: Sending) -> None:
        client, score = self._client, self._annotator.score_batch
        client.failures = batches.failures(MOST_ATTEMPTS)
        for part in batches.open:
            client.budget.take_up(part.characters, part.requests)
        self.remarks.form = batches.form
        self._annotator.take_form(texts)
        with client.open():
            while True:
                sending.finish()
                learn_parameters(score, texts, client, lambda: client.answered and self.remarks.form is not None)
                sending.note_cost()
                batches.form = self.remarks.form
                if client.spent is not None:
                    break
                if not batches.add(requests(score, texts, client), self._limits, client.left_out()):
                    break
            sending.finish()
