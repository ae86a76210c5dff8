"""The shape of the house: short files, short functions. What may import what is in pyproject.toml (import-linter)."""

from __future__ import annotations

import ast
from pathlib import Path

import silr

HOME = Path(silr.__file__).parent
LONGEST_FILE, LONGEST_FUNCTION = 400, 60  # lines; a function's docstring does not count
Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources() -> list[Path]:
    return sorted(HOME.rglob("*.py"))


def length(function: Function) -> int:
    """Lines of a function, without its docstring."""
    first = function.body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    docstring = first.end_lineno - first.lineno + 1 if is_docstring and isinstance(first.value.value, str) else 0
    return function.end_lineno - function.lineno + 1 - docstring


def test_no_file_is_long() -> None:
    lengths = {str(path.relative_to(HOME)): len(path.read_text().splitlines()) for path in sources()}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_no_function_is_long() -> None:
    lengths = {
        f"{path.relative_to(HOME)}: {node.name}": length(node)
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, Function)
    }
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FUNCTION} == {}


def test_the_rooms_behind_a_server_are_all_in_its_list() -> None:
    room = HOME / "annotators" / "api"
    text = (room / "__init__.py").read_text()
    names = {path.stem for path in room.iterdir() if path.suffix == ".py" or path.is_dir()} - {
        "__init__",
        "__pycache__",
    }
    assert {name for name in names if f"`{name}`" not in text} == set()
