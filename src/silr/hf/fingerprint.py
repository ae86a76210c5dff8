"""Known again by content: the weights, configuration and tokenizer of a model on this machine or on the hub.

A run that reads texts with an encoder, or adapts a language model, says nothing without that very model.
"""

import hashlib
import json
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from silr.errors import InputError

WEIGHTS = "weights"  # the name of a fingerprint in records
WHOLE = 2**28  # bytes of a file that are all read; of larger ones so many blocks of so many bytes
BLOCKS, BLOCK = 1024, 2**14
TENSORS = (".safetensors", ".gguf")
OLD_TENSORS = (".bin", ".pt", ".pth")  # read only where there is none of the others
VOCABULARY = (".model", ".py")
NAMED = ("config", "token", "vocab", "merges", "modules")  # .json and .txt that are read; others are notes
NO_PART = ("generation_config.json", "training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth")
VOLATILE = ("transformers_version", "_name_or_path", "name_or_path", "__version__", "dtype", "torch_dtype")


def fingerprint(model: str) -> str | None:
    """Return what a model folder, `.gguf` file or hub name has in it, as a short string; None if that cannot be told.

    A folder is known by its weights, JSON files and vocabulary, wherever it lies and whichever version of a library
    wrote it; a name on the hub, also of a sentence-transformers model, by its revision.
    """
    path = Path(model)
    if path.is_dir():
        files = _files(path)
        return _of_files(tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files), model)
    if path.is_file():
        return _of_files(((model, path.stat().st_mtime_ns, path.stat().st_size),), str(path.parent))
    return None if path.is_absolute() or model.startswith((".", "~")) else _revision(model)


def check(model: str, expected: str | None) -> None:
    """Raise InputError if a model is no longer what it was; None is expected of what was made before there were any."""
    if expected is None or (actual := fingerprint(model)) is None or actual == expected:
        return
    raise InputError(
        f"the model {model} has other weights, or another tokenizer, than when this run was made: put the old one "
        "back, or refine into a new run"
    )


def _files(folder: Path) -> list[Path]:
    """The files that are read of a model folder; a sentence-transformers model has parts in folders of their own."""
    folders, read = [folder], list[Path]()
    with suppress(OSError, ValueError, TypeError, KeyError):
        parts = [folder / part["path"] for part in json.loads((folder / "modules.json").read_bytes())]
        folders += [part for part in parts if part.is_dir() and part != folder]
    for part in folders:
        files = [path for path in part.iterdir() if path.is_file() and path.name not in NO_PART]
        tensors = TENSORS if any(path.suffix in TENSORS for path in files) else OLD_TENSORS
        read += [path for path in files if path.suffix.lower() in (*tensors, *VOCABULARY) or _is_read(path)]
    return sorted(set(read))


def _is_read(path: Path) -> bool:
    return path.suffix in (".json", ".txt") and any(word in path.name for word in NAMED)


@lru_cache(maxsize=16)
def _of_files(files: tuple[tuple[str, int, int], ...], folder: str) -> str:
    """Sizes and times of change are keys of the cache alone."""
    whole = hashlib.sha256()
    for name, _, _ in files:
        path = Path(name)
        whole.update(f"{path.relative_to(folder).as_posix() if len(files) > 1 else path.suffix}\0".encode())
        whole.update(_content(path))
    return whole.hexdigest()[:32]


def _content(path: Path) -> bytes:
    if path.suffix == ".json":
        with suppress(OSError, ValueError):  # whatever it is, its bytes are known
            values = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(values, dict):
                values = {key: value for key, value in values.items() if key not in VOLATILE}
            return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).digest()
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= WHOLE:
            return hashlib.file_digest(file, "sha256").digest()
        digest = hashlib.sha256(f"{size}".encode())
        digest.update(file.read(2**20))  # of safetensors, names and shapes
        for at in range(BLOCKS):
            file.seek((size - BLOCK) * at // (BLOCKS - 1))
            digest.update(file.read(BLOCK))
        return digest.digest()


def _revision(name: str) -> str | None:
    """The commit of a hub name in the cache, else on the hub."""
    from huggingface_hub import HfApi, constants, try_to_load_from_cache

    for repository in (name, f"sentence-transformers/{name}")[: 1 if "/" in name else 2]:
        for file in ("config.json", "modules.json"):
            try:
                cached = try_to_load_from_cache(repository, file)
            except ValueError:  # no name of a repository
                return None
            if isinstance(cached, str):
                return f"hub:{Path(cached).parent.name}"
        if not constants.HF_HUB_OFFLINE:
            try:
                return f"hub:{HfApi().model_info(repository, timeout=10).sha}"
            except Exception:  # no connection, no such model: loading it says which
                continue
    return None
