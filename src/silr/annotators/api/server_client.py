"""What clients of a server have in common: the connection, the budget, retries, and words without the key."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NoReturn

from silr.annotators.api.budget import Budget
from silr.annotators.api.exchange import Exchange, NoAnswerError, PassingError, TextTooLongError
from silr.annotators.api.refusals import Kind, Refusal
from silr.annotators.api.request import RequestOptions
from silr.annotators.api.retries import Retries
from silr.annotators.cost import Price
from silr.annotators.missing import Missing

Say = Callable[[str], None]

MOST_BREAKS = 3  # of a server that has never answered, before it is asked without some parameters


class ServerClient(Retries):
    """Sends requests to a server, and gives up with words for the user. Threads may share it.

    Until the server has answered once, one request is sent at a time: what hits every request ends the job after a
    few. What hits a text is a `NoAnswerError` with its reason.

    Parameters
    ----------
    exchange : Exchange
        What sends a request.
    options : RequestOptions
        What is wanted of every request.
    max_requests, max_tokens_total, max_dollars, price, rpm, tpm, timeout, retries, say
        As of `ChatClient`.

    Attributes
    ----------
    model, server : str
        The server's name for the model, and the address without credentials.
    notes, cost : list of str, Cost
        What was said, and what was asked in this session.
    """

    def __init__(
        self,
        exchange: Exchange,
        options: RequestOptions,
        *,
        max_requests: int | None = None,
        max_tokens_total: int | None = None,
        max_dollars: float | None = None,
        price: Price | None = None,
        rpm: int | None = None,
        tpm: int | None = None,
        timeout: float = 120.0,
        retries: int = 8,
        say: Say | None = None,
    ) -> None:
        super().__init__(exchange, rpm, tpm, timeout, retries)
        self.model, self.server, self.options = exchange.model, exchange.server, options
        self.notes = list[str]()
        self._print, self._alone = say or (lambda line: None), threading.Lock()
        self._budget = Budget(max_requests, max_tokens_total, self._closed, self._pace, max_dollars, price)
        self.cost = self._budget.cost
        self._tried = False  # whether requests without some parameters were tried

    @contextmanager
    def open(self) -> Iterator[None]:
        """Ask within this block; where it is left, requests that wait for another attempt give up."""
        self._closed.clear()
        self._stopped.clear()
        self._end = None
        try:
            yield
        finally:
            self._closed.set()
            self._exchange.abort()

    def stop(self) -> None:
        """Send nothing more in this block; requests that are under way go on."""
        self._closed.set()
        self._stopped.set()

    def say(self, line: str) -> None:
        """Tell the user, once."""
        with self._lock:
            if line in self.notes:
                return
            self.notes.append(line)
        self._print(line)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Ask within this block: one at a time, until the server answers."""
        with ExitStack() as alone:
            if not self._answered:
                waited = not self._alone.acquire(blocking=False)
                if waited:
                    self._alone.acquire()
                alone.callback(self._alone.release)
                if self._answered:  # meanwhile
                    alone.close()
                else:
                    self._check_end()
                    if waited and self._closed.is_set():
                        raise NoAnswerError(Missing.SERVER, "stopped before it was asked")
            yield

    def _note_answer(self) -> None:
        with self._lock:
            self._answered, self._in_vain = True, 0

    # --- what is given up ---------------------------------------------------------------------------------------------

    def _may_be_about_parameters(self, error: PassingError) -> bool:
        """Whether a server that breaks, and never answered, may break over a parameter."""
        return breaks(error) and not (self._tried or self._answered) and self._in_vain >= MOST_BREAKS

    def _refused(self, refusal: Refusal, n_characters: int) -> Missing:
        """Return why the server declines a text; raise the reason where it does not take the request."""
        kind, words = refusal.kind, self._words(refusal.words)
        if kind in (Kind.REFUSED, Kind.FILTERED):
            missing = Missing.REFUSED if kind is Kind.REFUSED else Missing.FILTERED
            if not self._answered:  # it may be about all texts, so it is not kept
                raise NoAnswerError(missing, words)
            return missing
        if kind is Kind.TOO_LONG:
            raise TextTooLongError(words, refusal.share_of(n_characters, self._budget.characters_a_token()))
        kind = Kind.UNCLEAR if kind is Kind.MODEL and self._answered else kind
        if kind not in (Kind.UNCLEAR, Kind.PASSING):
            self._stop(self._exchange.explain(refusal, kind, words))
        raise NoAnswerError(Missing.SERVER, self._count_refusal(refusal))

    def _count_refusal(self, refusal: Refusal) -> str:
        """Return the refusal in words; of a model that never answered it counts as in vain."""
        line = f"the server refuses the request ({refusal.status}): {self._words(refusal.words)}"
        if not (self.trusted or self._answered):
            if asked := self.options.asked():
                line += f"; it may not take {', '.join(asked.values())}"
            self._count_in_vain(line)
        return line

    def _give_up(self, error: PassingError) -> NoReturn:
        words = self._words(str(error))
        if error.unreachable and not self._closed.is_set():
            self._stop(f"no server answers at {self._exchange.place(error.redirected_to)}: {words}", error)
        raise NoAnswerError(Missing.SERVER, words) from error

    def _words(self, message: str) -> str:
        """The message in one line, without the key and the headers, which some servers repeat."""
        return " ".join(self._exchange.secrets.hidden(message).split())[:300]


def breaks(error: PassingError) -> bool:
    """Whether the server failed, in a way that may be about what it was asked."""
    return error.refusal is not None and error.refusal.status == 500
