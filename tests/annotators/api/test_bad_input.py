"""Bad input to what asks a server: one line, exit code 2, nothing sent, and all files stay as they were."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from chat_server import by_word
from embeddings_server import embeddings_server
from test_batch_files import run_batch

from command_line import Commands

CLASSES = ("--classes", "negative,positive")
TEXTS = [f"a {'good' if i % 3 else 'bad'} thing, number {i % 7} of {i}" for i in range(40)]
CODEBOOK = "question: Is it good?\nclasses: [negative, positive, {name: mixed, definition: both}]\n"


class Work:
    """A folder with a table and what was made of it."""

    def __init__(self, commands: Commands, folder: Path, url: str) -> None:
        self._commands, self.folder, self.url = commands, folder, url
        gold = ["positive" if "good" in text else "negative" for text in TEXTS]
        pd.DataFrame({"text": TEXTS, "gold": gold}).to_csv(folder / "in.csv", index=False)
        pd.DataFrame({"text": ["a new good thing"]}).to_csv(folder / "new.csv", index=False)
        (folder / "book.yaml").write_text(CODEBOOK)
        for name, text in (("list.json", "[1]"), ("word.json", "cheap"), ("odd.json", '{"m": {"in": "1", "out": 2}}')):
            (folder / name).write_text(text)

    def __call__(self, *arguments: object) -> str:
        done = self._commands(*arguments, cwd=self.folder)
        assert done.code == 0, done
        return done.out

    def annotate(self, *more: object, output: str = "out.csv") -> list[object]:
        server = ("--base-url", self.url, "--model", "m", "--cache", "answers.sqlite")
        return ["annotate", "in.csv", "-o", output, *CLASSES, *server, *more]

    def refused(self, said: str, *arguments: object) -> None:
        before = self.files()
        done = self._commands(*arguments, cwd=self.folder)
        assert done.code == 2 and done.out == "" and done.err.count("\n") == 1, (arguments, done)
        assert done.err.startswith("silr: ") and said in done.err, (said, done.err)
        assert self.files() == before, arguments

    def files(self) -> dict[str, bytes | None]:
        """All files and folders but caches."""
        kept = (path for path in self.folder.rglob("*") if "cache" not in path.parts and "sqlite" not in path.name)
        return {str(path): path.read_bytes() if path.is_file() else None for path in kept}


@pytest.mark.slow
def test_each_is_one_line_and_costs_nothing(
    commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "SILR_API_KEY", "SILR_EMBEDDINGS_API_KEY", "OPENAI_BASE_URL", "NOT_SET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    commands.load("silr.annotators.api.annotator", "silr.annotators.api.embeddings", "openai")
    with embeddings_server() as (url, record), embeddings_server(width=20) as (wider, _):
        work = Work(commands, tmp_path, url)
        work(*work.annotate("--embeddings", "emb"))
        work("refine", "out.csv", "-o", "run")
        work(
            "annotate",
            "in.csv",
            "-o",
            "b.csv",
            *CLASSES,
            "--model",
            "m",
            "--batch-file",
            "batch",
            "--cache",
            "b.sqlite",
        )
        run_batch(tmp_path / "batch" / "requests-1.jsonl", by_word, "m")
        asked = record.requests

        # an embeddings server of another width than the run, and than was asked for
        predict = ("predict", "run", "new.csv", "-o", "s.csv", "--quiet", "--features-url")
        work.refused("20 numbers a text for emb, where texts before have 16", *predict, wider)
        # a codebook with a class that the table, or the command, lacks
        other = "the codebook has the class 'mixed', which"
        work.refused(f"{other} the list of classes (--classes) lacks", *work.annotate("--codebook", "book.yaml"))
        for command in (("label", "out.csv", "--codebook", "book.yaml"), ("codebook", "check", "book.yaml", "out.csv")):
            work.refused(f"{other} out.csv lacks", *command)
        # a price file that is not one
        for file, said in (
            ("list.json", "is no price file"),
            ("word.json", "is no price file"),
            ("in.csv", "is no price file"),
            ("odd.json", "in of 'm' is"),
            ("none.json", "the price file none.json does not exist"),
        ):
            for more in ((), ("--dry-run",), ("--batch",)):
                work.refused(said, *work.annotate("--prices", file, *more))
        # a batch of another corpus
        pd.DataFrame({"text": ["another", "and another"]}).to_csv(tmp_path / "others.csv", index=False)
        others = ("annotate", "others.csv", "-o", "o.csv", *CLASSES, "--model", "m", "--cache", "o.sqlite")
        work.refused("batch has no results of these texts", *others, "--batch-results", "batch")
        work.refused("batch holds requests about other texts", *others, "--batch-file", "batch")
        # an extra body that is no object, and a header without a value
        for body in ("[1]", "{", "7", "@none.json", "@list.json", '{"model": "x"}'):
            work.refused("--extra-body", *work.annotate("--extra-body", body))
        for header in ("X-Title", "X-Title=", "=x", "X-Title=env:NOT_SET"):
            work.refused("--header", *work.annotate("--header", header))
        assert record.requests == asked


def test_embeddings_that_fail_leave_those_before(
    commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that came stay: the labels, the file beside them and what the record says of it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    commands.load("silr.annotators.api.annotator", "silr.annotators.api.embeddings", "openai")
    with embeddings_server() as (url, _):
        work = Work(commands, tmp_path, url)
        work(*work.annotate("--embeddings", "emb"))
        kept = (tmp_path / "out.features.npy").read_bytes()
        work(*work.annotate())  # the labels once more
        about = json.loads((tmp_path / "out.annotator.json").read_bytes())
        assert about["embeddings"]["model"] == "emb" and about["embeddings"]["width"] == 16
        done = commands(*work.annotate("--embeddings", "b", "--embeddings-url", "http://127.0.0.1:9/v1"), cwd=tmp_path)
        assert done.code == 2 and "silr: the labels are written, the embeddings are not: " in done.err
        assert (tmp_path / "out.features.npy").read_bytes() == kept
