"""One process among several that `accelerate launch` or `torchrun` started: who writes, and what all must agree on.

Every process runs the same program on the same table, so that priors and labels come out alike; texts are shared out
where the work is (`silr.classifiers.finetuned`), and one process prints and writes.
"""

from __future__ import annotations

import os
from typing import Any


def rank() -> int:
    """Number of this process, 0 for the one that prints and writes."""
    return int(os.environ.get("RANK", 0))


def world_size() -> int:
    """How many processes there are."""
    return int(os.environ.get("WORLD_SIZE", 1))


def is_main() -> bool:
    """Whether this process prints and writes."""
    return rank() == 0


def wait_for_all() -> None:
    """Go on when every process is here."""
    if world_size() > 1:
        from accelerate import PartialState

        PartialState().wait_for_everyone()


def from_main(value: Any) -> Any:
    """Return what the main process has for `value`."""
    if world_size() == 1:
        return value
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list

    PartialState()
    return broadcast_object_list([value])[0]
