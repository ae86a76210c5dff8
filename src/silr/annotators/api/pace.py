"""When the next request may be sent: one back-off for all threads, and caps of requests and tokens a minute."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf

from silr.annotators.api.exchange import NoAnswerError
from silr.annotators.missing import Missing
from silr.errors import InputError

MINUTE = 60.0
_CATCH_UP = 1.0  # seconds of the caps that may be made up for after a lull
_POLL = 0.1  # seconds after which a thread that waits looks whether all is stopped


class StoppedError(NoAnswerError):
    """Nothing may be sent any more; this request was not."""

    def __init__(self) -> None:
        super().__init__(Missing.SERVER, "stopped before it was asked")


@dataclass(eq=False)
class Sent:
    """A request that was sent at a time, and its tokens: as reckoned first, then as the server counts them."""

    time: float
    tokens: float


class Caps:
    """At most so many requests and tokens in any 60 seconds. Not for several threads.

    Requests keep the distance that the caps want, so no minute begins with a rush and ends with a lull. One request
    with more tokens than a minute may have is sent where the minute before has none.

    Parameters
    ----------
    rpm, tpm : int, default None
        Requests and tokens a minute; None: any number.
    """

    def __init__(self, rpm: int | None = None, tpm: int | None = None) -> None:
        if any(cap is not None and cap < 1 for cap in (rpm, tpm)):
            raise InputError("rpm and tpm must be at least 1")
        self._rpm, self._tpm = rpm or inf, tpm or inf
        self._sent, self._tokens = deque[Sent](), 0.0  # in the last minute
        self._next = -inf  # by the distance alone

    def delay(self, now: float, tokens: float) -> float:
        """Seconds from now until a request of so many tokens may be sent; 0 if at once."""
        while self._sent and self._sent[0].time <= now - MINUTE:
            self._tokens -= self._sent.popleft().tokens
        free = max(self._next, now)
        if len(self._sent) >= self._rpm:
            free = max(free, self._sent[len(self._sent) - int(self._rpm)].time + MINUTE)
        surplus = self._tokens + tokens - self._tpm
        for sent in self._sent if surplus > 0 else ():
            surplus -= sent.tokens
            free = max(free, sent.time + MINUTE)
            if surplus <= 0:
                break
        return free - now

    def send(self, now: float, tokens: float) -> Sent:
        """Count a request that is sent now."""
        sent = Sent(now, tokens)
        if self._rpm < inf or self._tpm < inf:
            self._sent.append(sent)
            self._tokens += tokens
            self._next = max(self._next, now - _CATCH_UP) + MINUTE * max(1 / self._rpm, tokens / self._tpm)
        return sent

    def correct(self, sent: Sent, tokens: int) -> None:
        """Set the tokens of a request to those that the server counts."""
        if self._sent and sent.time >= self._sent[0].time:
            self._tokens += tokens - sent.tokens
        sent.tokens = tokens


class Window:
    """How many requests may be under way: any number, until a server pushes back.

    It is the congestion control of TCP (Jacobson, "Congestion avoidance and control", SIGCOMM 1988): after a push half
    as many as were under way; one more with each round of answers (additive increase, multiplicative decrease). After
    a pause it begins with one and doubles each round up to that half (slow start), so no herd follows a pause.
    """

    def __init__(self) -> None:
        self.limit = self._threshold = inf

    def push(self, under_way: int, paused: bool) -> None:
        """Allow fewer."""
        self._threshold = max(1.0, min(self.limit, under_way) // 2)
        self.limit = 1.0 if paused else self._threshold

    def answer(self) -> None:
        """Allow more after an answer."""
        self.limit += 1.0 if self.limit < self._threshold else 1.0 / self.limit


class Pace:
    """Lets requests through at the pace that user and server want. Threads share it.

    Parameters
    ----------
    rpm, tpm : int, default None
        Requests and tokens a minute at most.
    stopped : threading.Event, default None
        Set when nothing may be sent any more.
    clock : callable, default time.monotonic

    Attributes
    ----------
    most_under_way : int
        The most requests that were under way at a time.
    """

    def __init__(
        self,
        rpm: int | None = None,
        tpm: int | None = None,
        stopped: threading.Event | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._caps, self._window, self._clock = Caps(rpm, tpm), Window(), clock
        self._stopped = stopped or threading.Event()
        self._door, self._changed = threading.Lock(), threading.Condition()  # one thread waits, others at the door
        self._own = threading.local()
        self._under_way = self.most_under_way = 0
        self._paused_until = self._pushed = -inf

    @contextmanager
    def request(self, tokens: float) -> Iterator[Callable[[int], None]]:
        """Send a request of about so many tokens within this block, and call what it yields with the true number.

        The block begins when it is time; a `StoppedError` says that it never will be. It counts as answered if it ends
        without an error.
        """
        with self._door, self._changed:
            while (seconds := self._delay(tokens)) > 0:
                self._changed.wait(min(seconds, _POLL))
            self._own.sent = sent = self._caps.send(self._clock(), tokens)
            self._under_way += 1
            self.most_under_way = max(self.most_under_way, self._under_way)

        def used(tokens: int) -> None:
            with self._changed:
                self._caps.correct(sent, tokens)

        answered = False
        try:
            yield used
            answered = True
        finally:
            with self._changed:
                self._under_way -= 1
                if answered:
                    self._window.answer()
                self._changed.notify()

    def push_back(self, wait: float | None) -> bool:
        """Slow all threads down, as the server refused this thread's last request for its load.

        If it asks to `wait` (seconds), nothing is sent meanwhile. Returned is whether that is news: requests that were
        under way already when a server pushed back are refused for the same reason.
        """
        with self._changed:
            now, sent = self._clock(), getattr(self._own, "sent", None)
            if wait:
                self._paused_until = max(self._paused_until, now + wait)
            is_new = sent is None or sent.time > self._pushed
            if is_new:
                self._window.push(self._under_way + 1, paused=bool(wait))
                self._pushed = now
            return is_new

    def _delay(self, tokens: float) -> float:
        """Seconds until the next request, 0 if at once; infinite until another ends."""
        if self._stopped.is_set():
            raise StoppedError
        now = self._clock()
        if now < self._paused_until:
            return self._paused_until - now
        return inf if self._under_way >= max(1.0, self._window.limit) else self._caps.delay(now, tokens)
