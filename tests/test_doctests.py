"""The examples of docstrings do what they say."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import silr

SOURCE = Path(silr.__file__).parent
WITH_EXAMPLES = sorted(
    ".".join(["silr", *path.relative_to(SOURCE).with_suffix("").parts])
    for path in SOURCE.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples(name: str) -> None:
    result = doctest.testmod(import_module(name))
    assert result.attempted and not result.failed


def test_the_public_names_have_examples() -> None:
    for name in set(silr.__all__) - {"__version__"}:
        documented = getattr(silr, name)
        assert documented.__module__ in WITH_EXAMPLES and ">>> " in documented.__doc__, name
