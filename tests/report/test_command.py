"""`silr report`, and the report at the end of `silr refine`, as commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from reporting import Page, make_run

import silr.report.write
from command_line import Commands, Result
from silr.cli.report import report_of_finished
from synthetic import make_corpus

pytestmark = pytest.mark.slow

QUICK = ("--method", "uu", "--epochs", 3, "--iterations", 1, "--device", "cpu")


def refused(result: Result, *said: str) -> None:
    assert result.code == 2 and result.out == "", result
    assert result.err.startswith("silr: ") and result.err.count("\n") == 1, result.err
    for words in said:
        assert words in result.err


def test_report(commands: Commands, tmp_path: Path) -> None:
    run = make_run(tmp_path)
    assert commands("report", run) == (0, f"written: {run / 'report.html'}\n", "")
    out = tmp_path / "page.html"
    result = commands("report", run, "-o", out, "--truth", "answer", "--json")
    assert (result.code, result.err) == (0, "") and json.loads(result.out) == {"report": str(out)}
    assert "which only scores" in " ".join(Page(out).by_id["summary"].split())
    assert commands("report", run, "-q") == (0, "", "")


def test_refine_ends_with_the_report(commands: Commands, tmp_path: Path) -> None:
    table = make_corpus(400, seed=2).write(tmp_path)
    result = commands("refine", table, "-o", tmp_path / "run", *QUICK, "--json")
    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out)["report"] == str(tmp_path / "run" / "report.html")
    assert "Refined labels of table.csv" in (tmp_path / "run" / "report.html").read_text().replace("<bdi>", "")


def test_refine_does_not_fail_with_the_report(commands: Commands, tmp_path: Path) -> None:
    """A folder stands where the page should go."""
    table = make_corpus(400, seed=2).write(tmp_path)
    (tmp_path / "run").mkdir()
    assert commands("refine", table, "-o", tmp_path / "run", *QUICK, "-q").code == 0
    (tmp_path / "run" / "report.html").unlink()
    (tmp_path / "run" / "report.html" / "inside").mkdir(parents=True)
    result = commands("refine", table, "-o", tmp_path / "run", *QUICK, "--json")
    assert result.code == 0 and json.loads(result.out)["report"] is None
    assert result.err.startswith("silr: warning: the labels are written, the report is not (InputError: cannot write")
    assert result.err.count("\n") == 1
    refused(commands("report", tmp_path / "run"), "cannot write", "report.html")


def test_a_bug_is_said_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(silr.report.write, "read_record", lambda *_: 1 / 0)
    assert report_of_finished(make_run(tmp_path)) is None
    assert capsys.readouterr().err.endswith("the report is not (ZeroDivisionError: division by zero)\n")


def test_bad_input(commands: Commands, tmp_path: Path) -> None:
    refused(commands("report", tmp_path), "is not a run: it has no run.json")
    refused(commands("report", tmp_path / "no"), "is not a run")
    run = make_run(tmp_path)
    refused(commands("report", run / "labels.csv"), "is not a run")
    refused(commands("report", run, "--truth", "nothing"), "has no column 'nothing'")
    refused(commands("report", run, "-o", tmp_path / "no" / "page.html"), "cannot write", "No such file")
    refused(commands("report", run, "-o", tmp_path), "cannot write")
    (run / "iteration-1" / "labels.safetensors").write_bytes(b"no")
    refused(commands("report", run), "iteration-1 is damaged")
    refused(commands("report"), "Missing argument")
    assert not (run / "report.html").exists()
