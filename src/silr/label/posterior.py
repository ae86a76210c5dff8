"""Posterior that draws follow, fitted in the background: who labels never waits for it."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from silr.features import encoders
from silr.label.adaptive_draw import EVERY
from silr.label.fit_worker import Corpus, serve_fits

if TYPE_CHECKING:
    from silr.label.gold_table import GoldTable

FEWEST = 10  # gold labels below which `LabelRefiner` refuses to learn


class Posterior(Protocol):
    """Class probabilities of the corpus that get better with the gold labels."""

    latest: NDArray[np.floating] | None

    def update(self, gold: Mapping[int, int]) -> None:
        """Take notice of the gold labels; return at once."""


class BackgroundPosterior:
    """Fits `LabelRefiner` to the gold labels after every ten of them, one fit at a time.

    A thread waits for the fit, which is the work of another process: TF-IDF in a thread would hold up the page, and an
    interpreter that ends while PyTorch computes in one aborts. Features are computed once, at the first fit: all that
    is at hand of the hidden states beside the table, sentence embeddings and TF-IDF. All gold labels count alike: the
    weights are for estimates.

    `states` is a ``.npy`` with one row a text, as `silr annotate` writes it; it is left out if it does not exist.
    """

    def __init__(self, table: GoldTable, states: Path | None = None, seed: int = 0) -> None:
        self.latest: NDArray[np.floating] | None = None  # (n, K), of the last fit that succeeded; never changed
        self.fits, self.failures, self.problem = 0, 0, ""  # how many succeeded and failed, and why the last failed
        encoder = encoders.named() or encoders.at_hand()
        self._corpus = Corpus(table.texts, table.codes, table.scores, len(table.classes), states, encoder, seed)
        self._step = 0
        self._thread: threading.Thread | None = None
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None
        self._closed = False
        self._lock = threading.Lock()  # nobody starts a process after `close`

    def update(self, gold: Mapping[int, int]) -> None:
        """Start a fit if there are ten more gold labels than at the last one, and no fit is at work."""
        step = len(gold) // EVERY
        self._step = min(self._step, step)  # after an undo
        if self._closed or step == self._step or len(gold) < FEWEST or len(set(gold.values())) < 2:
            return
        if self._thread is not None and self._thread.is_alive():
            return  # the next label asks again
        self._step = step
        self._thread = threading.Thread(target=self._fit, args=(dict(gold),), daemon=True, name="silr-posterior")
        self._thread.start()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until no fit is at work."""
        if self._thread is not None:
            self._thread.join(seconds)

    def close(self) -> None:
        """End the process, and a fit that is at work with it."""
        with self._lock:
            self._closed = True
            self._kill()
        self.wait()

    def _fit(self, gold: dict[int, int]) -> None:
        try:
            with self._lock:
                if self._closed:
                    return
                connection = self._connect()
            connection.send(gold)
            answer = connection.recv()
        except (EOFError, OSError) as error:
            self._kill()
            answer = f"the process that fits has ended ({error or 'killed'})"
        if self._closed:
            return
        if isinstance(answer, str):
            self.failures += 1
            self.problem = answer
        else:
            self.fits += 1
            self.latest = answer

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()  # until then it counts as alive

    def _connect(self) -> Connection:
        """Return the connection to the process, which is started if it is not at work."""
        if self._connection is None or self._process is None or not self._process.is_alive():
            context = multiprocessing.get_context("spawn")  # a fork would share locks with the page's threads
            self._connection, theirs = context.Pipe()
            self._process = context.Process(target=serve_fits, args=(theirs, self._corpus), daemon=True)
            self._process.start()
            theirs.close()
        return self._connection
