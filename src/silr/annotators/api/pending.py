"""Questions whose answers come later, with a batch."""

from collections.abc import Callable
from typing import TypeVar

from silr.annotators.api.exchange import NoAnswerError
from silr.annotators.missing import Missing

T = TypeVar("T")


class PendingError(NoAnswerError):
    """The answer is not there yet; without it the text has not been asked about."""

    def __init__(self) -> None:
        super().__init__(Missing.NOT_ASKED, "not asked yet", hits_all=False)


def each_sample(read: Callable[[int], T], n_samples: int) -> list[T]:
    """Return the answers to all samples of a question; a PendingError comes after the last, so that all are asked."""
    answers, pending = list[T](), None
    for sample in range(n_samples):
        try:
            answers.append(read(sample))
        except PendingError as error:
            pending = error
    if pending is not None:
        raise pending
    return answers
