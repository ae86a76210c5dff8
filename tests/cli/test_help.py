"""What `--help` shows on a terminal of 80 columns."""

from __future__ import annotations

from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from silr.cli.help import EXAMPLES, PANELS
from silr.cli.main import app

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def options(name: str) -> list[Any]:
    return [each for each in COMMANDS[name].params if each.param_type_name == "option"]


def help_of(name: str) -> str:
    done = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"})
    assert done.exit_code == 0
    return done.output


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_no_option_is_cut_and_each_says_what_it_is_for(name: str) -> None:
    shown = help_of(name)
    words = set(shown.split())
    for option in options(name):
        assert option.help, option.name
        assert {*option.opts, *option.secondary_opts} <= words
    assert "\u2026" not in shown
    assert max(map(len, shown.splitlines())) <= 80
    for line in EXAMPLES.get(name, ()):
        assert line in " ".join(shown.split())


@pytest.mark.parametrize("name", sorted(PANELS))
def test_groups_name_options_that_there_are(name: str) -> None:
    named = [each for names in PANELS[name].values() for each in names.split()]
    assert len(named) == len(set(named)) and set(named) <= {each.name for each in options(name)}
    shown = help_of(name)
    places = [shown.index(f" {title} ") for title in PANELS[name]]
    assert places == sorted(places) and shown.index(" Output ") > places[-1]


def test_examples_are_commands_that_there_are() -> None:
    for name, lines in EXAMPLES.items():
        given = {option for each in options(name) for option in each.opts}
        for line in lines:
            words = line.split()
            assert words[:2] == ["silr", name]
            assert {word for word in words if word.startswith("-")} <= given
