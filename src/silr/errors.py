"""The two errors a user may cause; the command line prints them as one line and exits with code 2."""


class InputError(ValueError):
    """Input that cannot be used. The message is one line that says what is wrong and what to do about it."""


class NoSignalError(InputError):
    """The pseudo-labelled sets cannot be told apart, so no refinement is possible from these labels."""
