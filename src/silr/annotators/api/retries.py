"""Failures that may pass: whether a request is sent again, when, and when the whole job is given up."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn, TypeVar

from silr.annotators.api.exchange import LATER, Exchange, PassingError
from silr.annotators.api.pace import Pace
from silr.errors import InputError
from silr.extras import needs
from silr.io.progress import duration

if TYPE_CHECKING:
    import tenacity

T = TypeVar("T")

MOST_IN_VAIN = 10  # requests without an answer, after which a server that never gave one is given up
_IN_VAIN_LATER, _IN_VAIN_ROUNDS = 50, 6  # the same where this model has answered before: as many rounds at least
_PUSH_BACK = (429, 503, 529)  # what a server answers that has too much to do
_LONGEST_WAIT, _SHORT_WAIT = 60.0, 2.0  # seconds before another attempt, unless the server asks for more
LONG, TOO_LONG = 60.0, 600.0  # seconds that a server asks for: what is said, and what is not waited for
_MOST_TIMEOUTS = 3  # of a server that has never answered
_MOST_DAILY = 3  # times that a quota of the day is said to be renewed in a minute


class Retries(ABC):
    """What a client does about failures that may pass. Threads may share it.

    Parameters
    ----------
    exchange : Exchange
        What sends requests.
    rpm, tpm : int or None
        As of `Pace`.
    timeout : float
        Seconds to wait for an answer.
    retries : int
        Attempts after the first.

    Attributes
    ----------
    trusted : bool
        Whether this model has given a label before.
    """

    def __init__(self, exchange: Exchange, rpm: int | None, tpm: int | None, timeout: float, retries: int) -> None:
        with needs("api", "an LLM behind an API"):
            import tenacity
        self._exchange, self._timeout = exchange, timeout
        self.trusted = False
        self._lock, self._closed, self._stopped = threading.RLock(), threading.Event(), threading.Event()
        self._pace = Pace(rpm, tpm, self._stopped)
        self._answered = False  # whether the server ever gave an answer
        self._in_vain = self._timeouts = self._daily = 0
        self._said_wait = -LONG
        self._end: InputError | None = None
        self._retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(retries + 1) | tenacity.stop_when_event_set(self._closed),
            sleep=tenacity.sleep_using_event(self._closed),
            wait=self._wait,
            retry=tenacity.retry_if_exception(self._may_pass),
            reraise=True,
        )

    @abstractmethod
    def say(self, line: str) -> None:
        """Tell the user, once."""

    @abstractmethod
    def _words(self, message: str) -> str:
        """Return a server's message in one line, without secrets."""

    @abstractmethod
    def _may_be_about_parameters(self, error: PassingError) -> bool:
        """Whether a request without some parameters is to be sent instead."""

    def _with_retries(self, attempt: Callable[..., T], *about: object) -> T:
        """Return what an attempt gives, which is made again while that may help.

        The first one costs nothing beside; what waits and counts comes after a failure.
        """
        failures = list[PassingError]()
        try:
            return attempt(*about)
        except PassingError as error:
            failures.append(error)

        def again() -> T:
            if failures:
                raise failures.pop()
            return attempt(*about)

        return self._retrying(again)

    def _check_end(self) -> None:
        if self._end is not None:
            raise self._end

    def _count_in_vain(self, words: str) -> None:
        """Count a request without an answer, and end the job after too many."""
        with self._lock:
            self._in_vain += 1
            later = max(_IN_VAIN_LATER, _IN_VAIN_ROUNDS * self._pace.most_under_way)
            most = later if self.trusted or self._answered else MOST_IN_VAIN
            if self._in_vain >= most:
                self._stop(f"no answer to {self._in_vain} requests in a row: {words}")

    def _stop(self, line: str, error: BaseException | None = None) -> NoReturn:
        self._end = InputError(line)
        raise self._end from error

    def _may_pass(self, error: BaseException) -> bool:
        """Whether another attempt may help; one at a server that never was there hardly does."""
        if not isinstance(error, PassingError) or self._closed.is_set():
            return False
        words = self._words(str(error))
        if error.unreachable:
            return self._exchange.heard
        self._daily += error.daily
        used_up = error.daily and (error.wait is None or error.wait > LONG or self._daily >= _MOST_DAILY)
        if used_up or (error.wait or 0.0) > TOO_LONG:
            asked = f" to wait {duration(error.wait)}" if error.wait else " to wait until its quota is renewed"
            self._stop(f"the server asks{asked} ({words}); {LATER}", error)
        if error.timeout and not self._answered:
            self._timeouts += 1
            if self._timeouts >= _MOST_TIMEOUTS:
                line = f"no answer within {self._timeout:g} seconds, {self._timeouts} times; raise --timeout"
                self._stop(line, error)
        if not _pushes_back(error) or self._pace.push_back(error.wait):
            self._count_in_vain(words)
        if self._may_be_about_parameters(error):
            return False
        if error.wait and error.wait > LONG and time.monotonic() - self._said_wait > LONG:
            self._said_wait = time.monotonic()
            self.say(f"the server asks to wait {duration(error.wait)} ({words}); waiting. Ctrl-C stops, and {LATER}")
        return True

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Seconds until the next attempt."""
        import tenacity

        error = state.outcome.exception() if state.outcome else None
        if not isinstance(error, PassingError):
            return 0.0
        if error.wait is not None:
            return 0.0 if _pushes_back(error) else error.wait  # all threads wait for it, this one among them
        longest = _SHORT_WAIT if error.unusable else min(_LONGEST_WAIT, _SHORT_WAIT * (1 + self._in_vain))
        return tenacity.wait_random_exponential(max=longest)(state)  # others may be answered meanwhile


def _pushes_back(error: PassingError) -> bool:
    """Whether the server has too much to do."""
    return error.refusal is not None and error.refusal.status in _PUSH_BACK
