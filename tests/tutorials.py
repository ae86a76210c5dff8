"""The notebooks of the tutorials: run in a folder that goes, as `make tutorials` and their tests do."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent.parent / "docs" / "tutorials"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def run(path: Path, executables: str = f"{Path(sys.executable).parent}:{os.environ['PATH']}", kernel: str = "") -> Any:
    """The notebook with the outputs of a run of all its cells; a cell that fails raises an error.

    The command `silr` is in the folders of `executables`. `kernel` is a program that starts one in the place of Python.
    """
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=600,
            kernel_name="python3",
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": folder}},
        )
        if kernel:
            client.create_kernel_manager().kernel_spec.argv = [kernel, "-f", "{connection_file}"]
        return client.execute(env={**os.environ, "PATH": executables})


if __name__ == "__main__":  # store the outputs in the notebooks
    for path in map(Path, sys.argv[1:] or NOTEBOOKS):
        nbformat.write(run(path), path)
        print(f"written: {path}", flush=True)
