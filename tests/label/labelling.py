"""A table to label, and a real `silr label` process to label it with."""

from __future__ import annotations

import http.client
import json
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

import numpy as np
import pandas as pd

from command_line import Commands, shared
from silr.io.corpus import read_table, write_table
from silr.label.gold_table import GoldTable
from silr.label.session import Session

CLASSES = ("negative", "positive")


def make_table(path: Path, n: int = 200, texts: Sequence[str] = (), **columns: Any) -> Path:
    """A table with labels and scores; `texts` come first, and the LLM calls a quarter of all negative."""
    rng = np.random.default_rng(0)
    positive = rng.random(n) < 0.75
    positive[0] = not positive[1]
    margin = rng.exponential(2, n) * np.where(positive, 1, -1)
    frame = pd.DataFrame(
        {
            "id": [f"t{row}" for row in range(n)],
            "text": pd.Series([*texts, *(f"text number {row}" for row in range(len(texts), n))], dtype=object),
            "llm_label": np.where(positive, "positive", "negative"),
            "llm_score_negative": -np.logaddexp(0, margin),
            "llm_score_positive": -np.logaddexp(0, -margin),
            **columns,
        }
    )
    write_table(frame, path)
    return path


def label_in_rounds(path: Path, n: int = 40, target: int = 40) -> set[int]:
    """Label as the LLM does, the first 20 texts by strata and the others adaptively; return their rows."""
    posterior = Fixed(np.random.default_rng(1).dirichlet([0.5, 0.5], len(read_table(path))))
    session = Session(GoldTable(path, rounds=True), target, posterior=posterior)
    while len(session.gold) < n:
        session.label(session.current, int(session.table.codes[session.current]))
    session.close()
    return set(session.gold)


class Fixed:
    """A posterior that is what it is, so that a test knows what draws follow."""

    def __init__(self, latest: Any) -> None:
        self.latest = latest

    def update(self, gold: Any) -> None:
        """Learn nothing."""


def draws_of(path: Path) -> dict[int, tuple[float, float, float]]:
    """Weight, draw and probability of each gold label by row; NaN where there is none."""
    frame = read_table(path)
    frame = frame[frame["gold"].notna() & (frame["gold"] != "")]
    values = frame[["gold_weight", "gold_draw", "gold_probability"]].apply(pd.to_numeric)
    return dict(zip(frame.index, values.itertuples(index=False, name=None), strict=True))


def gold_of(path: Path) -> dict[int, str]:
    """Labels by row."""
    column = read_table(path).get("gold", [])
    return {row: label for row, label in enumerate(column) if label}


def weights_of(path: Path) -> list[float]:
    return [float(weight) for weight in read_table(path)["gold_weight"] if weight]


def label_commands() -> Commands:
    """Runs `silr` with the page already imported."""
    shared().load("silr.label.session", "silr.label.server")
    return shared()


class Answer(NamedTuple):
    status_code: int
    headers: dict[str, str]
    text: str

    def json(self) -> Any:
        return json.loads(self.text)


class Labelling:
    """A process of `silr label TABLE --no-browser`; `address` is that of its page."""

    def __init__(self, table: Path, *options: object) -> None:
        self.process = label_commands().start("label", table, "--no-browser", *options)
        self.said: list[str] = []
        for line in self.process.stdout:
            self.said.append(line)
            if line.startswith("label at "):
                break
        else:
            raise RuntimeError(self.process.stderr.read())
        self.address = self.said[-1].split()[2]
        where = urlsplit(self.address)
        self.port = where.port
        self.origin = f"http://{where.netloc}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def end(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str, str]:
        """Send a signal; return the exit code and what it printed."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, "".join(self.said) + out, err

    def wait(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, "".join(self.said) + out, err

    def get(self, path: str = "setting", **headers: str) -> Answer:
        return self._ask("GET", path, headers)

    def state(self) -> dict[str, Any]:
        return self.get().json()["state"]

    def post(self, action: str, body: Any, headers: dict[str, str] | None = None) -> Answer:
        given = {"Origin": self.origin, "Content-Type": "application/json", **(headers or {})}
        return self._ask("POST", f"do/{action}", given, body if isinstance(body, bytes) else json.dumps(body).encode())

    def _ask(self, method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request(method, self.address.removeprefix(self.origin) + path, body, headers)
        with connection.getresponse() as answer:
            values = {name.lower(): value for name, value in answer.getheaders()}
            result = Answer(answer.status, values, answer.read().decode())
        connection.close()
        return result

    def act(self, action: str, **more: Any) -> dict[str, Any]:
        """Act as the page does; return the new state."""
        state = self.state()
        answer = self.post(action, {"turn": state["turn"], "row": state["row"], **more})
        assert answer.status_code == 200, answer.text
        return answer.json().get("state") or answer.json()
