"""The run directory: what was done, every finished iteration, and a lock that keeps two processes apart.

    run/
      run.json                    configuration, seeds, versions, hardware, hashes
      features/                   what `predict` needs to compute the same features
      iteration-0/ ... -T/        labels.safetensors (labels, scores), iteration.json (priors, metrics), classifier.*
      gold.safetensors            the gold labels
      labels.csv                  the table with refined_label and refined_score; of one in pieces a folder, labels/

An iteration's folder is written under another name and renamed when it is whole, so a killed run leaves finished
iterations and nothing else.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from silr import __version__
from silr.errors import InputError
from silr.hf.distributed import is_main, main_first, wait_for_all
from silr.hf.fingerprint import WEIGHTS
from silr.io.files import Json, atomic_folder, atomic_write, os_errors, write_json
from silr.io.resumable import Kind, resumable
from silr.refine.iteration import Iteration, Notes
from silr.refine.options import without_others
from silr.refine.refinement import Refinement
from silr.stats.priors import Priors

if TYPE_CHECKING:
    from silr.classifiers.base import Classifier

MANIFEST, GOLD = "run.json", "gold.safetensors"
TABLE = "table.json"  # what `silr refine` writes about its table, with the number of iterations
FORMAT = 1
KIND = Kind(
    MANIFEST,
    ".lock",
    busy="another process is working on the run {}",
    other="is a run made with other input or settings ({}); give another output folder, or delete this one",
    foreign="exists and is not a run",
    noun="run",
    later=(WEIGHTS,),
)
PACKAGES = (
    "torch",
    "transformers",
    "peft",
    "scikit-learn",
    "numpy",
    "scipy",
    "pandas",
    "safetensors",
    "sentence-transformers",
    "model2vec",
)


class Run:
    """A run directory, opened for reading with `Run(folder)` or for writing with `Run.start`; else InputError."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            self.manifest: Json = json.loads((self.folder / MANIFEST).read_bytes())
            known = self.manifest["format"] == FORMAT and bool(self.manifest["identity"])
        except (FileNotFoundError, NotADirectoryError):
            exported = "; if `silr export` wrote it, `silr.load` reads it, as its README.md says"
            remedy = exported if (self.folder / "README.md").is_file() else ""
            raise InputError(
                f"{self.folder} is not a run: it has no {MANIFEST}; `silr refine` makes one{remedy}"
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{self.folder / MANIFEST} is not the record of a run: {error!r}") from error
        if not known:
            raise InputError(f"{self.folder} was made by another version of silr ({self.manifest.get('silr')})")

    @classmethod
    @contextmanager
    def start(cls, folder: str | Path, identity: Mapping[str, object], about: Mapping[str, object]) -> Iterator[Run]:
        """Make a run directory, or go on with one of the same identity, and keep other programs out meanwhile.

        The lock goes with the process, however it ends. A run without a finished iteration has nothing to lose and
        takes a new identity.

        `identity` is all that decides the result: configuration, seed, hashes of the input; `about` is what else should
        be on record. Raises InputError if the folder holds something else, or a run of another identity, or
        another process works on it; nothing in it is touched. Or it cannot be written.
        """
        folder = Path(folder)
        work = resumable(
            folder,
            KIND,
            identity,
            stored=lambda: current(cls(folder).manifest["identity"]),
            record=lambda identity: record(identity, about, PACKAGES),
            begun=(folder / "iteration-0").exists,
            clear=lambda: shutil.rmtree(folder / "features", ignore_errors=True),
        )
        with main_first(work):
            yield cls(folder)

    def iterations(self) -> list[Iteration]:
        """The finished iterations in order."""
        finished: list[Iteration] = []
        while (folder := self.iteration_folder(len(finished))).is_dir():
            finished.append(_read_iteration(folder, len(finished)))
        later = {*self.folder.glob("iteration-*")}.difference(map(self.iteration_folder, range(len(finished))))
        if later:
            raise InputError(f"{folder} is missing; delete {', '.join(sorted(map(str, later)))} too and run again")
        return finished

    def save_gold(self, codes: NDArray[np.int16]) -> None:
        """Keep the gold labels, -1 where there is none: they are the result of their texts."""
        if is_main() and not self.iteration_folder(0).exists():
            with os_errors(f"cannot write {self.folder / GOLD}"), atomic_write(self.folder / GOLD) as file:
                file.write(save({"codes": codes}))
        wait_for_all()

    def gold(self) -> NDArray[np.int16] | None:
        """What `save_gold` kept; None of a run of version 0.1."""
        try:
            return np.asarray(load_file(self.folder / GOLD)["codes"])
        except FileNotFoundError:
            return None
        except (OSError, KeyError, SafetensorError) as error:
            raise InputError(f"cannot read {self.folder / GOLD}: {error}; delete it".replace("\n", " ")) from error

    @property
    def configuration(self) -> Json:
        """The settings that decided the result."""
        return without_others(self.manifest["identity"]["configuration"])

    def result(self) -> Refinement:
        """The finished iterations and what is known of them; see `Refinement.check_finished`."""
        iterations = self.iterations()
        if iterations and not (last := iterations[-1]).notes.of and last.priors is not None:  # of version 0.1
            iterations[-1] = last.with_notes(of=max(last.number, self._asked()))
        return Refinement(iterations, [str(name) for name in self.manifest["identity"]["classes"]])

    def _asked(self) -> int:
        """How many iterations were asked for, by the table's record."""
        try:
            return int(json.loads((self.folder / TABLE).read_text())["iterations"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def save_iteration(self, iteration: Iteration, classifier: Classifier | None) -> None:
        """Write a finished iteration: all of it, or nothing. Of several processes, the main one writes."""
        if is_main():
            self._write(iteration, classifier)
        wait_for_all()

    def _write(self, iteration: Iteration, classifier: Classifier | None) -> None:
        final = self.iteration_folder(iteration.number)
        tensors: dict[str, NDArray[np.generic]] = {"labels": iteration.labels.astype(np.int16)}
        if iteration.scores is not None:
            tensors["scores"] = iteration.scores
        if iteration.classifier_labels is not None:
            tensors["classifier_labels"] = iteration.classifier_labels
        if iteration.cross_fitted is not None:
            tensors["cross_fitted"] = iteration.cross_fitted
        priors = iteration.priors and iteration.priors.to_dict()
        with os_errors(f"cannot write {final}"), atomic_folder(final) as draft:
            with atomic_write(draft / "labels.safetensors") as file:
                file.write(save(tensors))
            if classifier is not None:
                classifier.save(draft)
            values = {"number": iteration.number, "priors": priors, "metrics": iteration.notes.to_dict()}
            write_json(draft / "iteration.json", values)
        shutil.rmtree(self.checkpoints, ignore_errors=True)

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints of unfinished iterations lie, if the classifier makes any."""
        return self.folder / "checkpoints"

    def iteration_folder(self, number: int) -> Path:
        """Where iteration `number` lies."""
        return self.folder / f"iteration-{number}"


def current(identity: Json) -> Json:
    """A run's identity without settings that its method does not have."""
    if "configuration" not in identity:
        return identity
    return {**identity, "configuration": without_others(identity["configuration"])}


def _read_iteration(folder: Path, number: int) -> Iteration:
    try:
        values = json.loads((folder / "iteration.json").read_bytes())
        tensors = load_file(folder / "labels.safetensors")
        labels = tensors["labels"]
        priors = None if values["priors"] is None else Priors.from_dict(values["priors"])
        notes = Notes.from_dict(values["metrics"], number)
        further = [tensors.get(name) for name in ("classifier_labels", "cross_fitted")]
        return Iteration(number, labels, tensors.get("scores"), priors, notes, *further)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{folder} is damaged: {reason}; delete it and all later ones, and run again") from error


def record(identity: object, about: Mapping[str, object], packages: Sequence[str]) -> dict[str, object]:
    """Return what a manifest says: the identity, and what it was made with."""
    made_with = {"packages": _versions(packages), "hardware": _hardware()}
    return {"format": FORMAT, "silr": __version__, "identity": identity, **about, **made_with}


def _versions(packages: Sequence[str]) -> dict[str, str]:
    """Return the versions of Python and of those packages that are installed."""
    installed = {"python": platform.python_version()}
    for package in packages:
        try:
            installed[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return installed


def _hardware() -> dict[str, object]:
    """Return what computes here; what PyTorch says of it, where it is used."""
    about: dict[str, object] = {"system": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count()}
    if (torch := sys.modules.get("torch")) is None:
        return about
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {**about, "torch_threads": torch.get_num_threads(), "gpus": gpus}
