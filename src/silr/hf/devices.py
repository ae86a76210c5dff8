"""Which device and number type to compute with."""

import os

from silr.hf.distributed import world_size


def best_device() -> str:
    """Return "cuda" if there is a GPU that torch can use, else "cpu"."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def own_device(device: str | None) -> str:
    """Return the device of this process: by default the GPU if there is one, of several processes each its own."""
    device = device or best_device()
    several = device == "cuda" and world_size() > 1
    return f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if several else device


def best_dtype(device: str) -> str:
    """Return the fastest number format of a device that a language model bears.

    bfloat16 on a GPU (float16 on one that lacks it) and on a processor with instructions for it (AMX or AVX-512 BF16);
    else float32, which other processors multiply faster.
    """
    import torch

    if device.startswith("cuda") or device == "auto":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return "bfloat16" if capabilities.get("amx_bf16") or capabilities.get("avx512_bf16") else "float32"
