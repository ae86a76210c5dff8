"""The output folder of an alignment: what it is made with, a lock, and finished parts that are not made again.

DIR/
  align.json      settings, seed, hashes, versions, hardware
  before.json     the starting policy's completions, measured
  candidates/     completions to choose from (dpo, best-of-n)
  checkpoints/    of an unfinished training
  policy/         the trained policy, a Hugging Face folder
  history.json    the log of the training
  samples.csv     before and after, side by side
  result.json     all figures
  report.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from silr import __version__
from silr.errors import InputError
from silr.files import locked, make_folder, write_json
from silr.processes import is_main, wait_for_all
from silr.run import differences, hardware, versions

MANIFEST, LOCK, RESULT = "align.json", ".lock", "result.json"
FORMAT = 1
PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "vllm", "bitsandbytes")


class AlignFolder:
    """The folder, opened by `AlignFolder.start`, or for reading by `AlignFolder(folder)`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.before = folder / "before.json"
        self.candidates = folder / "candidates"
        self.checkpoints = folder / "checkpoints"
        self.policy = folder / "policy"
        self.history = folder / "history.json"
        self.samples = folder / "samples.csv"
        self.result = folder / RESULT
        self.manifest: dict[str, Any] = read_json(folder / MANIFEST)

    @classmethod
    @contextmanager
    def start(cls, folder: Path, identity: dict[str, Any]) -> Iterator[AlignFolder]:
        """Make the folder, or go on with one of the same identity, and keep other programs out meanwhile.

        Raises
        ------
        InputError
            The folder holds something else, or was made with other settings, or another process works on it; nothing
            in it is touched. Or it cannot be written.
        """
        if not is_main():
            wait_for_all()
            yield cls(folder)
            return
        identity = json.loads(json.dumps(identity))
        if folder.exists() and not (folder / MANIFEST).exists():
            if not folder.is_dir() or not all(
                path.name.startswith((LOCK, f".{MANIFEST}.")) for path in folder.iterdir()
            ):
                raise InputError(f"{folder} exists and is no alignment; give a new folder")
        elif folder.exists():
            changed = differences(cls(folder).manifest["identity"], identity)
            if changed and _begun(folder):
                raise InputError(
                    f"{folder} was made with other input or settings ({', '.join(changed)}); give another output "
                    "folder, or delete this one"
                )
        make_folder(folder)
        with locked(folder / LOCK, f"another process is working on {folder}"):
            if not _begun(folder):
                made = {"packages": versions(PACKAGES), "hardware": hardware()}
                write_json(folder / MANIFEST, {"format": FORMAT, "silr": __version__, "identity": identity, **made})
            wait_for_all()
            yield cls(folder)

    def keep_history(self, log: list[dict[str, Any]], stopped: str | None) -> None:
        """Write the log of a training, and why it ended early if it did."""
        write_json(self.history, {"log": log, "stopped": stopped})

    def keep(self, path: Path, make: Callable[[], Any]) -> Any:
        """Return the JSON values of a finished part; make and write them if they are not there yet.

        All processes make them together, and the main one writes.
        """
        there = path.exists()
        wait_for_all()  # nobody writes before all have looked
        if there:
            return read_json(path)
        values = make()
        if is_main():
            write_json(path, values)
        wait_for_all()
        return values


def _begun(folder: Path) -> bool:
    """Whether something is there that other settings would not have made."""
    return (folder / "before.json").exists() or (folder / "candidates").exists()


def read_json(path: Path) -> Any:
    """Read a file that this package wrote, or say what to do where it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}; delete it and run again") from error
