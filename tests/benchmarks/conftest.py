"""Short benchmarks: fewer steps of the rivals, and a policy that writes random words."""

from __future__ import annotations

import pytest
from small_policies import write_policy


@pytest.fixture(scope="session")
def chat_policy(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_policy(tmp_path_factory.mktemp("chat"), chat=True)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two iterations and few steps, for tests of what runs and is printed, not of how good a rival becomes."""
    monkeypatch.setattr("silr.classifiers.frozen.TARGET_STEPS", 40)
    monkeypatch.setattr("silr_methods.ITERATIONS", 2)
    monkeypatch.setattr("noise_rivals.ITERATIONS", 2)
    for name, few in (("ITERATIONS", 2), ("STEPS", 10), ("CLASSIFIER_STEPS", 20)):
        monkeypatch.setattr(f"ccp.{name}", few)
