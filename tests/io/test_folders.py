"""Folders that appear whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from silr.errors import InputError
from silr.io.files import atomic_folder


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("empty", [True, False])
def test_the_folder_appears_when_it_is_whole(tmp_path: Path, empty: bool) -> None:
    folder = tmp_path / "new" / "model"
    if empty:
        folder.mkdir(parents=True)
    with atomic_folder(folder) as draft:
        (draft / "a").write_text("a")
        assert draft.parent == folder.parent and names(folder) == []
    assert names(tmp_path) == ["new", "new/model", "new/model/a"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), atomic_folder(tmp_path / "model") as draft:
        (draft / "a").write_text("half")
        raise error
    assert names(tmp_path) == []


def test_what_a_killed_process_left_is_no_part_of_it(tmp_path: Path) -> None:
    (tmp_path / ".model.tmp").mkdir()
    (tmp_path / ".model.tmp" / "old").write_text("half")
    with atomic_folder(tmp_path / "model") as draft:
        (draft / "new").write_text("new")
    assert names(tmp_path) == ["model", "model/new"]


def test_a_folder_that_holds_something_is_kept(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine").write_text("mine")
    with pytest.raises(OSError, match="not empty"), atomic_folder(tmp_path / "model") as draft:
        (draft / "new").write_text("new")
    assert names(tmp_path) == ["model", "model/mine"]


def test_a_folder_that_another_process_writes_is_left_to_it(tmp_path: Path) -> None:
    """A lock belongs to an open file, so two writers of one process are as two processes."""
    with atomic_folder(tmp_path / "model") as draft:
        (draft / "a").write_text("a")
        with (
            pytest.raises(InputError, match=r"^another process writes .*model; wait"),
            atomic_folder(draft.parent / "model"),
        ):
            raise AssertionError
        assert names(draft) == ["a"]
    assert names(tmp_path) == ["model", "model/a"]
