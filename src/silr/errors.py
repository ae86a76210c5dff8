"""The two errors a user may cause; the command line prints them as one line and exits with code 2."""

from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """Input that cannot be used. The message is one line that says what is wrong and what to do about it."""


class NoSignalError(InputError):
    """The pseudo-labelled sets cannot be told apart, so no refinement is possible from these labels."""


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Say in one line what cannot be read, whatever is wrong with it."""
    try:
        yield
    except Exception as error:
        raise InputError(f"cannot read {what}: {error}".splitlines()[0]) from error
