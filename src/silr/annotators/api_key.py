"""The key of a server, from the environment: it is never written or said."""

from __future__ import annotations

import os

from silr.errors import InputError

KEY_VARIABLES = ("SILR_API_KEY", "OPENAI_API_KEY")


def environment_key() -> str | None:
    """Return the key of the environment, without the line's end that a file it was read from may have left."""
    for name in KEY_VARIABLES:
        key = os.environ.get(name, "").strip()
        if key and not (key.isascii() and key.isprintable() and " " not in key):
            raise InputError(f"{name} has characters that no API key has; set it again")
        if key:
            return key
    return None
