"""The command line in processes of its own, without waiting for torch to be imported each time.

`Commands` starts this file as a script: a server that imports what the commands import. It forks for every client, and
there for every request. That child has its own working directory, environment, standard streams, limits and exit code,
and ends as the command ends. The processes of one test run share a server, which ends with its last client.
"""

from __future__ import annotations

import errno
import fcntl
import gc
import io
import json
import os
import resource
import runpy
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from functools import cache
from importlib import import_module, reload
from pathlib import Path
from typing import Any, NamedTuple, Self
from uuid import uuid4

HEAVY = (
    "silr.cli.main",
    "silr.refine.table",
    "silr.report.summary",
    "silr.report.evaluate",
    "silr.annotators.table",
    "transformers",
)
HEAVY += ("silr.classifiers.finetuned.trainer", "silr.export", "peft", "sentence_transformers")
HEAVY += ("silr.annotators.api.annotator", "silr.estimates.estimate", "silr.report.write", "skops.io", "openai")
LARGEST_MESSAGE = 2**20
LEFT_BEHIND = ("ACCELERATE_", "PYTEST_", "JPY_PARENT")  # variables that earlier tests set, and that no user has


class Result(NamedTuple):
    code: int
    out: str
    err: str


class Process:
    """A `silr` that runs, with the methods of `subprocess.Popen`."""

    def __init__(self, commands: Commands, pid: int, out: int, err: int) -> None:
        self.pid, self.returncode = pid, None
        self.stdout, self.stderr = os.fdopen(out), os.fdopen(err)
        self._commands = commands
        self.returncode: int | None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._commands.ask(do="poll", pid=self.pid)
        return self.returncode

    def wait(self, timeout: float = 600) -> int:
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("silr", timeout)
            time.sleep(0.005)
        assert self.returncode is not None
        return self.returncode

    def communicate(self, timeout: float = 600) -> tuple[str, str]:
        """What it prints until it ends."""
        errors: list[str] = []
        reader = threading.Thread(target=lambda: errors.append(self.stderr.read()), daemon=True)
        reader.start()
        out = self.stdout.read()
        reader.join(timeout)
        self.wait(timeout)
        return out, errors[0]

    def send_signal(self, number: int) -> None:
        if self.poll() is None:  # until it is waited for, no other process has its number
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stdout.close()
        self.stderr.close()
        self.wait()


def ranks(processes: int) -> list[dict[str, str]]:
    """What `torchrun` puts into the environment of each process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    size = {"WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes)}
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [{"RANK": str(rank), "LOCAL_RANK": str(rank), **size, **address} for rank in range(processes)]


@cache
def shared() -> Commands:
    """The one of this test run, for helpers that are no fixtures; it ends with the run."""
    return Commands(address=os.environ.get("PYTEST_XDIST_TESTRUNUID")).__enter__()


@contextmanager
def locked() -> Iterator[None]:
    """No server starts, ends or gets a client meanwhile."""
    with Path(__file__).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Commands:
    """Use as a context manager; then call it with the arguments of `silr`. `modules` are imported once for all.

    Those with the same `address` share a server; without one it is nobody else's.
    """

    def __init__(self, modules: Sequence[str] = HEAVY, address: str | None = None) -> None:
        self.modules, self.address = modules, address or uuid4().hex

    def __enter__(self) -> Self:
        with locked():
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
                try:
                    listener.bind(self._place)
                except OSError as error:
                    if error.errno != errno.EADDRINUSE:  # by the server of another process of this run
                        raise
                else:
                    listener.listen()
                    command = [sys.executable, __file__, "serve", str(listener.fileno()), *self.modules]
                    subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[listener.fileno()])
            self.connect()
        self.load()  # returns as soon as the server has its modules
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    @property
    def _place(self) -> str:
        return f"\0silr-commands-{self.address}"  # an address that is no file

    def connect(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.connect(self._place)

    def program(self, path: Path, **options: Any) -> Path:
        """Write an executable that is this `silr`, or with the option `script` this Python file."""
        words = shlex.join([sys.executable, __file__, "forward", self.address, json.dumps(options)])
        path.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        path.chmod(0o755)
        return path

    def put_on_path(self, folder: Path, **options: Any) -> str:
        """A PATH whose `silr` is this one, written into the folder, and whose `python` is that of the tests."""
        self.program(folder / "silr", **options)
        return f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"

    def load(self, *modules: str) -> None:
        """Import what later commands of this process need, too."""
        self.ask(do="load", modules=modules)

    def __call__(self, *arguments: object, **options: Any) -> Result:
        """Run `silr` to its end; options as of `start`, without a terminal."""
        return self.together([{}], *arguments, **options)[0]

    def together(self, environments: Sequence[Mapping[str, str]], *arguments: object, **options: Any) -> list[Result]:
        """Several at once, each with more variables in its environment."""
        with ExitStack() as opened:
            nothing = opened.enter_context(tempfile.TemporaryFile())
            files = [[opened.enter_context(tempfile.TemporaryFile()) for _ in range(2)] for _ in environments]
            pids = [
                self._start(arguments, (nothing.fileno(), out.fileno(), err.fileno()), more=dict(more), **options)
                for more, (out, err) in zip(environments, files, strict=True)
            ]
            codes = [self.ask(do="wait", pid=pid) for pid in pids]
            texts = [[os.pread(file.fileno(), 2**24, 0).decode() for file in pair] for pair in files]
        return [Result(code, *pair) for code, pair in zip(codes, texts, strict=True)]

    def start(self, *arguments: object, terminal: int | None = None, **options: Any) -> Process:
        """Start `silr` and return at once.

        `cwd` is its folder, `file_size` the largest file that it may write, `script` a Python file to run in the place
        of `silr`. With `encoder` it looks for a sentence encoder. It reads from `terminal`, if given, and writes there.
        """
        (out, out_end), (err, err_end) = os.pipe(), os.pipe()
        nothing = os.open(os.devnull, os.O_RDONLY)
        streams = (nothing, out_end, err_end) if terminal is None else (terminal,) * 3
        pid = self._start(arguments, streams, terminal=terminal is not None, **options)
        for each in (nothing, out_end, err_end):
            os.close(each)
        return Process(self, pid, out, err)

    def _start(self, arguments: Sequence[object], streams: Sequence[int], **options: Any) -> int:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(LEFT_BEHIND)}
        environment |= options.pop("more", {})
        options["cwd"] = str(options.get("cwd") or Path.cwd())
        options["script"] = options.get("script") and str(options["script"])
        request = {"do": "start", "arguments": list(map(str, arguments)), "environment": environment, **options}
        pid: int = self.ask(streams, **request)
        return pid

    def ask(self, streams: Sequence[int] = (), **request: Any) -> Any:
        socket.send_fds(self._socket, [json.dumps(request).encode()], list(streams))
        return json.loads(self._socket.recv(LARGEST_MESSAGE))


def forward(address: str, options: str, *arguments: str) -> None:
    """Run one command there with the streams of this process, and end as it ends."""
    commands = Commands(address=address)
    commands.connect()
    code = commands.ask(do="wait", pid=commands._start(arguments, (0, 1, 2), **json.loads(options)))
    if code < 0:
        os.kill(os.getpid(), -code)
    sys.exit(code)


def serve(number: str, *modules: str) -> None:
    """Fork for every client; end with the last one."""
    listener = socket.socket(fileno=int(number))
    load(modules)
    clients: set[int] = set()
    while True:
        if select.select([listener], [], [], 1)[0]:
            connection = listener.accept()[0]
            client = os.fork()
            if client == 0:
                listener.close()
                answer_to(connection)
                os._exit(0)
            connection.close()
            clients.add(client)
        clients -= {client for client in clients if os.waitpid(client, os.WNOHANG)[0]}
        if not clients:
            with locked():
                if not select.select([listener], [], [], 0)[0]:
                    listener.close()
                    return


def load(modules: Sequence[str]) -> None:
    for name in modules:
        import_module(name)
    if "silr.cli.main" in modules:  # the first command imports more of typer
        typer = import_module("typer.main")
        typer.get_command = cache(typer.get_command)  # type: ignore[attr-defined]
        with redirect_stdout(io.StringIO()):
            import_module("silr.cli.main").app(["--version"], standalone_mode=False)
    if encoders := sys.modules.get("silr.features.encoders"):  # reading texts with one takes seconds
        encoders.at_hand = lambda: None  # type: ignore[attr-defined]
        encoders.from_hub = lambda say: None  # type: ignore[attr-defined]
    gc.collect()
    gc.freeze()  # no child looks for garbage in all these modules


def answer_to(connection: socket.socket) -> None:
    while True:
        message, streams, *_ = socket.recv_fds(connection, LARGEST_MESSAGE, 3)
        if not message:
            return
        request, answer = json.loads(message), None
        if request["do"] == "load":
            load(request["modules"])
        elif request["do"] == "start":
            answer = os.fork()
            if answer == 0:
                connection.close()
                become(request, streams)
        else:
            pid, status = os.waitpid(request["pid"], os.WNOHANG if request["do"] == "poll" else 0)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        for each in streams:
            os.close(each)
        connection.send(json.dumps(answer).encode())


def become(request: dict[str, Any], streams: Sequence[int]) -> None:
    """End this process as `silr`, or the script, ends with these arguments."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    if request.get("terminal"):
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        sys.stdin, sys.stdout, sys.stderr = (os.fdopen(n, mode, closefd=False) for n, mode in enumerate("rww"))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a process started with `&` by a shell would ignore it
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["cwd"])
    if request.get("encoder"):
        reload(import_module("silr.features.encoders"))
    if request.get("file_size") is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["file_size"],) * 2)
    sys.argv = [request["script"] or "silr", *request["arguments"]]
    code: Any = 1
    try:
        if request["script"]:
            sys.path.insert(0, str(Path(request["script"]).parent))
            runpy.run_path(request["script"], run_name="__main__")
            code = 0
        else:
            from silr.cli.main import main

            main()
            code = 0
    except SystemExit as end:
        code = end.code or 0
        if isinstance(code, str):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    {"serve": serve, "forward": forward}[sys.argv[1]](*sys.argv[2:])
