"""Why there is no answer: errors about one text, refusals, and errors that may pass."""

from __future__ import annotations

from silr.annotators.missing import Missing
from silr.annotators.refusals import Refusal

LATER = "what was answered is kept, and the same command goes on from there"


class NoAnswerError(Exception):
    """The server gave no usable answer to a text, however often it was asked.

    Parameters
    ----------
    missing : Missing
        The reason.
    words : str
    hits_all : bool, default None
        Whether it may be so with every text; by default where the server fails.
    """

    def __init__(self, missing: Missing, words: str, hits_all: bool | None = None) -> None:
        super().__init__(words)
        self.missing = missing
        self.hits_all = missing is Missing.SERVER if hits_all is None else hits_all


class TextTooLongError(NoAnswerError):
    """The server does not take so long a text; `share` is how much of the prompt it would take, if it says so."""

    def __init__(self, words: str, share: float | None) -> None:
        super().__init__(Missing.TOO_LONG, words)
        self.share = share


class RefusedError(Exception):
    """The server refuses a request."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.words)
        self.refusal = refusal


class PassingError(Exception):
    """No answer this time.

    Parameters
    ----------
    words : str
        What the server or the connection says.
    wait : float, default None
        Seconds that the server asks for.
    unreachable : bool
        Whether no connection came about; one that is cut or too slow is another thing.
    timeout : bool
        Whether it was too slow.
    unusable : bool
        Whether the server said that all is well, and sent nothing of use.
    daily : bool
        Whether the day's quota is used up.
    refusal : Refusal, default None
        The response, if there was one.
    sent_on_to : str
        The address that could not be reached, if the server redirects there.
    """

    def __init__(
        self,
        words: str,
        *,
        wait: float | None = None,
        unreachable: bool = False,
        timeout: bool = False,
        unusable: bool = False,
        daily: bool = False,
        refusal: Refusal | None = None,
        sent_on_to: str = "",
    ) -> None:
        super().__init__(words)
        self.wait, self.unreachable, self.timeout = wait, unreachable, timeout
        self.unusable, self.daily, self.refusal = unusable, daily, refusal
        self.sent_on_to = sent_on_to
