"""The answer cache of a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from silr.annotators.api.cache import AnswerCache


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[AnswerCache]:
    opened = AnswerCache(tmp_path / "answers.sqlite")
    yield opened
    opened.close()
