"""Pinned requirements of a folder."""

from importlib import metadata
from pathlib import Path

from silr.export.requirements import pinned, write_requirements


def test_versions_are_those_that_are_installed(tmp_path: Path) -> None:
    write_requirements(tmp_path, ["numpy", "silr[export]", "numpy"])
    lines = (tmp_path / "requirements.txt").read_text().splitlines()
    assert lines == [f"numpy=={metadata.version('numpy')}", f"silr[export]=={metadata.version('silr')}"]
    assert "+" not in pinned("torch")
