"""The Hugging Face hub: what its client raises, as one line that says what to do."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from silr.errors import InputError

LOG_IN = "no token of the Hugging Face hub: run `hf auth login`, or set HF_TOKEN"
UNAUTHORIZED, FORBIDDEN = (401, 407), (402, 403)


class HubAwayError(InputError):
    """The hub does not answer."""


@contextmanager
def hub_errors(failure: str) -> Iterator[None]:
    """Turn what the hub's client raises within this block into one line that begins with the failure.

    Raises HubAwayError if the hub does not answer, else InputError.
    """
    from huggingface_hub import constants
    from huggingface_hub import errors as hub

    log = logging.getLogger("huggingface_hub")
    level = log.level
    log.setLevel(logging.ERROR)  # it tells of each try
    try:
        yield
    except InputError:
        raise
    except hub.HfHubHTTPError as error:
        raise InputError(f"{failure}: {_answer(error)}") from error
    except hub.LocalTokenNotFoundError as error:
        raise InputError(f"{failure}: {LOG_IN}") from error
    except hub.OfflineModeIsEnabled as error:
        raise HubAwayError(f"{failure}: HF_HUB_OFFLINE is set") from error
    except Exception as error:
        causes = [error, error.__cause__, error.__context__]
        if answered := next((cause for cause in causes if isinstance(cause, hub.HfHubHTTPError)), None):
            raise InputError(f"{failure}: {_answer(answered)}") from error
        if any(_is_network(cause) for cause in causes):
            raise HubAwayError(f"{failure}: the hub at {constants.ENDPOINT} does not answer") from error
        raise InputError(f"{failure}: {' '.join(str(error).split()) or type(error).__name__}") from error
    finally:
        log.setLevel(level)


def _answer(error: object) -> str:
    """What the hub refused, by the status of its answer."""
    from huggingface_hub import errors as hub

    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    said = " ".join(str(getattr(error, "server_message", None) or "").split())
    if isinstance(error, hub.GatedRepoError):
        return "its owner gives access on request; ask on its page on the hub"
    if isinstance(error, hub.RevisionNotFoundError):
        return "it has no such revision"
    if isinstance(error, hub.RepositoryNotFoundError):
        return "the hub has no such repository, or it is private and your token does not open it"
    if status in UNAUTHORIZED:
        return "the hub does not take your token: run `hf auth login`, or set HF_TOKEN"
    if status in FORBIDDEN:
        return f"the hub forbids it ({said or status}); does the name begin with your own, and may your token write?"
    return f"the hub answers {status}{': ' if said else ''}{said}" if status else "the hub gives no answer"


def _is_network(error: BaseException | None) -> bool:
    """Whether an error is one of connections, of whichever library the hub's client uses."""
    if isinstance(error, (ConnectionError, TimeoutError)):
        return True
    return error is not None and type(error).__module__.startswith(("httpx", "httpcore", "requests", "urllib3"))
