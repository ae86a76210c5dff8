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

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from silr.hf.distributed import is_main, main_first, wait_for_all
from silr.io.files import Json, read_json, write_json
from silr.io.resumable import Kind, resumable
from silr.refine.run import record

MANIFEST = "align.json"
KIND = Kind(
    MANIFEST,
    ".lock",
    busy="another process is working on {}",
    other="was made with other input or settings ({}); give another output folder, or delete this one",
    foreign="exists and is no alignment",
)
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
        self.result = folder / "result.json"
        self.manifest: Json = read_json(folder / MANIFEST)

    @classmethod
    @contextmanager
    def start(cls, folder: Path, identity: Mapping[str, object]) -> Iterator[AlignFolder]:
        """Make the folder, or go on with one of the same identity, and keep other programs out; see `resumable`."""
        work = resumable(
            folder,
            KIND,
            identity,
            stored=lambda: cls(folder).manifest["identity"],
            record=lambda identity: record(identity, {}, PACKAGES),
            begun=lambda: (folder / "before.json").exists() or (folder / "candidates").exists(),
        )
        with main_first(work):
            yield cls(folder)

    def keep_history(self, log: Sequence[object], stopped: str | None) -> None:
        """Write the log of a training, and why it ended early if it did."""
        write_json(self.history, {"log": log, "stopped": stopped})


def finished_part(path: Path, make: Callable[[], object]) -> Any:
    """JSON values of a finished part, made by all processes and written by the main one if they are not there yet."""
    exists = path.exists()
    wait_for_all()  # nobody writes before all have looked
    if exists:
        return read_json(path)
    values = make()
    if is_main():
        write_json(path, values)
    wait_for_all()
    return values
