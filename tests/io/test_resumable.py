"""Folders of long work: who may go on with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from silr.errors import InputError
from silr.io.resumable import Kind, differences, resumable

KIND = Kind(
    "work.json",
    ".lock",
    busy="somebody works on {}",
    other="was made with other settings ({}); delete it",
    foreign="exists and is no work",
)


def work(folder: Path, identity: Any, kind: Kind = KIND, **options: Any) -> None:
    with resumable(folder, kind, identity, **options):
        (folder / "content").write_text(json.dumps(identity))


def content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_it_is_made_and_resumed(tmp_path: Path) -> None:
    work(tmp_path / "new" / "work", {"seed": (0, 1)})
    before = content(tmp_path / "new" / "work")
    assert json.loads(before["work.json"]) == {"seed": [0, 1]}
    (tmp_path / "new" / "work" / ".work.json.abc.tmp").write_text("{")
    work(tmp_path / "new" / "work", {"seed": (0, 1)})
    assert content(tmp_path / "new" / "work") == before


def test_another_identity_is_refused_by_name_and_nothing_is_changed(tmp_path: Path) -> None:
    work(tmp_path / "{work}", {"seed": 0, "model": {"name": "a", "size": 1}})
    before = content(tmp_path / "{work}")
    with pytest.raises(InputError) as error:
        work(tmp_path / "{work}", {"seed": 1, "model": {"name": "a", "size": 2}})
    assert str(error.value) == f"{tmp_path / '{work}'} was made with other settings (seed, model.size); delete it"
    assert content(tmp_path / "{work}") == before


def test_what_is_not_begun_takes_another_identity(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    work(folder, 0, record=lambda identity: {"identity": identity})
    options: dict[str, Any] = {
        "stored": lambda: json.loads((folder / "work.json").read_text())["identity"],
        "record": lambda identity: {"identity": identity, "version": 2},
        "clear": (folder / "content").unlink,
    }
    with pytest.raises(InputError, match="other settings"):
        work(folder, 1, **options)
    with resumable(folder, KIND, 1, begun=lambda: False, **options):
        assert not (folder / "content").exists()
    assert json.loads((folder / "work.json").read_text()) == {"identity": 1, "version": 2}


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match=r"exists and is no work; give a new folder$"):
        work(tmp_path, 0)
    assert content(tmp_path) == {"mine.txt": "mine"}
    work(tmp_path, 0, KIND._replace(foreign=""))


def test_what_a_process_killed_at_once_left_is_nothing_else(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    (tmp_path / ".work.json.abc.tmp").write_text("{")
    work(tmp_path, 0)
    assert sorted(content(tmp_path)) == [".lock", "content", "work.json"]


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with resumable(tmp_path, KIND, 0), pytest.raises(InputError, match=f"^somebody works on {tmp_path}$"):
        work(tmp_path, 0)


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "work"):
        with pytest.raises(InputError, match=r"^cannot make the job .*: Not a directory$"):
            work(folder, 0, KIND._replace(noun="job"))


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ({"a": 1, "b": {"c": [1, 2]}}, {"a": 1, "b": {"c": [1, 2]}}, []),
        ({"a": 1, "b": {"c": [1, 2]}}, {"b": {"c": [1, 3], "d": 0}}, ["a", "b.c", "b.d"]),
        ({"parts": [{"k": 1}, {"k": 2}]}, {"parts": [{"k": 1}, {"k": 3}]}, ["parts.k"]),
        ({"parts": [{"k": 1}]}, {"parts": [{"k": 1}, {"k": 3}]}, ["parts"]),
        ({"parts": [{"k": 1}, {}]}, {"parts": [{"k": 1, "weights": "x"}, {}]}, []),  # an older one lacks it
        ({"parts": [{"k": 1, "weights": "y"}]}, {"parts": [{"k": 1, "weights": "x"}]}, ["parts.weights"]),
        ({"weights": "y"}, {}, ["weights"]),
        (None, {"weights": "y"}, [""]),
    ],
)
def test_differences(old: object, new: object, names: list[str]) -> None:
    assert differences(old, new, later=("weights",)) == names
