"""The versions that CI tries as the oldest are those that pyproject.toml promises."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_oldest_versions_are_the_lower_bounds() -> None:
    promised = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    tried = (ROOT / "constraints-oldest.txt").read_text().splitlines()[1:]
    assert tried == [each.replace(">=", "==") for each in promised]
