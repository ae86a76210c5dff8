"""The command line in processes of its own, without waiting for torch to be imported each time.

`Commands` starts this file as a script; it imports what the commands import, and forks for every request. A child has
its own working directory, standard streams, limits and exit code, and ends as the command ends.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Self

HEAVY = ("silr.refine_table", "silr.summary", "silr.evaluate", "silr.annotators.table", "transformers")
HEAVY += ("silr.classifiers.uu_trainer", "silr.export", "peft", "sentence_transformers")


class Result(NamedTuple):
    code: int
    out: str
    err: str


class Commands:
    """Use as a context manager; then call it with the arguments of `silr`. `modules` are imported once for all."""

    def __init__(self, modules: tuple[str, ...] = HEAVY) -> None:
        self.modules = modules

    def __enter__(self) -> Self:
        self._server = subprocess.Popen(
            [sys.executable, __file__, *self.modules], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __call__(self, *arguments: object, cwd: Path | None = None, file_size: int | None = None) -> Result:
        """Run `silr` with arguments, in a folder, allowed to write files of at most `file_size` bytes."""
        assert self._server.stdin and self._server.stdout
        request = {"arguments": list(map(str, arguments)), "cwd": cwd and str(cwd), "file_size": file_size}
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return Result(*json.loads(self._server.stdout.readline()))

    def __exit__(self, *_: object) -> None:
        self._server.communicate()


def serve() -> None:
    for name in sys.argv[1:]:
        import_module(name)
    if "silr.refine_table" in sys.argv:  # reading texts with an encoder takes seconds; one test has it
        import_module("silr.encoders").at_hand = lambda: None

    for line in sys.stdin:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            child = os.fork()
            if child == 0:
                become(json.loads(line), out.fileno(), err.fileno())
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            streams = [os.pread(file.fileno(), 2**24, 0).decode() for file in (out, err)]
        print(json.dumps([code, *streams]), flush=True)


def become(request: dict[str, Any], out: int, err: int) -> None:
    """End this process as `silr` with these arguments ends."""
    from silr.cli import main

    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.chdir(request["cwd"] or ".")
    if request["file_size"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["file_size"],) * 2)
    sys.argv = ["silr", *request["arguments"]]
    code: Any = 1
    try:
        main()
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    serve()
