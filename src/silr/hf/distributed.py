"""One process among several that `accelerate launch` or `torchrun` started: who writes, and what all must agree on.

Every process runs the same program on the same table, so that priors and labels come out alike; texts are shared out
where the work is (`silr.classifiers.finetuned.classifier`), and one process prints and writes.
"""

from __future__ import annotations

import atexit
import os
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any

from silr.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor


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
        _state().wait_for_everyone()


@contextmanager
def main_first(context: AbstractContextManager[object]) -> Iterator[None]:
    """Enter a context in the main process alone; the others go on once it is entered."""
    with context if is_main() else nullcontext():
        wait_for_all()
        yield


def from_main(value: Any) -> Any:
    """Return what the main process has for `value`."""
    if world_size() == 1:
        return value
    from accelerate.utils import broadcast_object_list

    _state()
    return broadcast_object_list([value])[0]


def gathered(part: Tensor) -> list[Tensor]:
    """What each process has for `part`, of one shape, in their order."""
    import torch

    if not torch.distributed.is_initialized():
        _state()
    parts = [torch.empty_like(part) for _ in range(world_size())]
    torch.distributed.all_gather(parts, part.contiguous())
    return parts


def _state() -> Any:
    """What connects the processes. Without a GPU it must be asked for by name, or it connects nothing."""
    import torch
    from accelerate import PartialState

    state = PartialState(cpu=not torch.cuda.is_available())
    _disconnect_at_exit()
    return state


@cache
def _disconnect_at_exit() -> None:
    """A process that ends while connected may be aborted by threads that still listen to the others."""
    import torch.distributed

    def disconnect() -> None:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()

    atexit.register(disconnect)


def check_launch(device: str | None, smaller: str = "--classifier qlora") -> None:
    """Refuse launchers that split the weights, and warn if one process that trains leaves GPUs idle.

    `smaller` is the option for a model that a GPU cannot hold.
    """
    import torch

    sharded = os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true"
    if sharded or os.environ.get("ACCELERATE_DEEPSPEED_ZERO_STAGE") == "3":
        raise InputError(
            "silr shares out texts among GPUs, each with the whole model: launch without FSDP and with ZeRO stage 2 at "
            f"most; for a model larger than a GPU take {smaller}"
        )
    gpus = torch.cuda.device_count() if device in (None, "cuda") else 0
    if gpus > 1 and world_size() == 1:
        warnings.warn(
            f"one of {gpus} GPUs is used; `accelerate launch -m silr ...` instead of `silr ...` uses all", stacklevel=2
        )
