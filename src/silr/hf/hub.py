"""Whether the Hugging Face hub can be asked for a model."""

from __future__ import annotations

import ssl
import threading
import urllib.request
from pathlib import Path
from urllib.error import HTTPError, URLError

from silr.errors import InputError

PATIENCE = 5.0  # seconds for the hub to answer; its own client tries for half a minute


def check_hub(name: str) -> None:
    """Raise InputError for a model that is neither here nor in the hub's cache while the hub does not answer."""
    if Path(name).exists():
        return
    from huggingface_hub import constants, try_to_load_from_cache

    if constants.HF_HUB_OFFLINE:
        return  # its client says so at once
    try:
        is_cached = isinstance(try_to_load_from_cache(name, "config.json"), str)
    except ValueError:  # no name of a repository, as its client says
        return
    if not is_cached and not answers(constants.ENDPOINT):
        raise InputError(
            f"cannot load the model {name}: it is neither a folder here nor in the hub's cache, and the hub at "
            f"{constants.ENDPOINT} does not answer; without a connection give a model folder or a .gguf file"
        )


def answers(address: str, seconds: float = PATIENCE) -> bool:
    """Whether anything answers at an address in so many seconds, a silent name server included."""
    heard: list[bool] = []

    def ask() -> None:
        try:
            with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=seconds):
                heard.append(True)
        except HTTPError:
            heard.append(True)
        except URLError as error:  # certificates are the business of the hub's client, which may know others
            heard.extend([True] if isinstance(error.reason, ssl.SSLError) else [])
        except (OSError, ValueError):
            return

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(seconds)
    return bool(heard)
