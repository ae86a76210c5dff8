"""On the terminal there are silr's own warnings, and nobody else's."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

import silr
from silr.cli import warnings as cli_warnings


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(cli_warnings, "_silenced", False)
    levels = {name: logging.getLogger(name).level for name in cli_warnings.CHATTY}
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        cli_warnings.install()
        yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def warn(filename: Path, category: type[Warning] = UserWarning) -> None:
    warnings.warn_explicit("few gold labels", category, str(filename), 1, registry={})


def test_whose_warnings_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    home = Path(silr.__file__).parent
    warn(home / "label_refiner.py")
    assert capsys.readouterr().err == "silr: warning: few gold labels\n"
    warn(Path(pytest.__file__))
    warn(home / "label_refiner.py", FutureWarning)
    warn(home / "label_refiner.py", RuntimeWarning)
    warn(home / "label_refiner.py", type("ConvergenceWarning", (UserWarning,), {}))
    logging.getLogger("sentence_transformers.models").warning("no pooling")
    assert capsys.readouterr().err == ""


def test_quiet_hides_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli_warnings.silence(True) is True
    warn(Path(silr.__file__))
    assert capsys.readouterr().err == ""
