"""Keys by which texts of the corpus are known again: distinct, the same in every process, and of what was said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from silr.classifiers.posterior import row_keys, text_keys, with_annotators
from silr.stats.annotator_evidence import Annotator

LABELS = np.array([0, 1, -1, 0], np.int16)


def test_texts_have_keys_of_their_own() -> None:
    texts = [f"text {number}" for number in range(50_000)] + ["", " ", "Text 1", "\ud800", "\udc00", "ä", "a\u0308"]
    found = text_keys(texts)
    assert found.dtype == np.uint64 and len(np.unique(found)) == len(texts)
    np.testing.assert_array_equal(text_keys(texts[::-1]), found[::-1])
    assert len(text_keys([])) == 0


@pytest.mark.slow
def test_keys_are_the_same_in_every_process() -> None:
    """Python's own hashes of texts are not."""
    code = (
        "import numpy as np; from silr.classifiers.posterior import row_keys, text_keys; "
        "X = np.arange(30, dtype=np.float32).reshape(3, 10); "
        "print(text_keys(['one', 'two']).tolist() + row_keys(X).tolist())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(row_keys.__code__.co_filename).parents[2])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    X = np.arange(30, dtype=np.float32).reshape(3, 10)
    assert found == {f"{text_keys(['one', 'two']).tolist() + row_keys(X).tolist()}\n"}


@pytest.mark.slow
@pytest.mark.parametrize("d", [1, 5, 64, 65, 300])
def test_rows_have_keys_of_their_own(d: int) -> None:
    X = np.random.default_rng(d).normal(size=(100_000, d)).astype(np.float32)
    found = row_keys(X)
    assert found.shape == (100_000,) and found.dtype == np.uint64
    assert len(np.unique(found)) == (len(np.unique(X)) if d == 1 else 100_000)
    rows = np.array([70_000, 3, 99_999, 3])
    np.testing.assert_array_equal(row_keys(X[rows]), found[rows])


@pytest.mark.parametrize("d", [10, 200, 1000])
def test_rows_that_differ_in_one_column_have_different_keys(d: int) -> None:
    X = np.tile(np.random.default_rng(d).normal(size=d), (d + 1, 1)).astype(np.float32)
    X[np.arange(d), np.arange(d)] += 1
    assert len(np.unique(row_keys(X))) == d + 1


def test_sparse_rows_have_different_keys() -> None:
    """Counts of words, as features that are given: nearly all are 0."""
    rng = np.random.default_rng(0)
    X = np.zeros((2000, 3000), np.float32)
    for row in X:
        row[rng.integers(3000, size=12)] = 1.0
    assert len(np.unique(row_keys(X))) == 2000


def test_equal_rows_have_equal_keys() -> None:
    """In whatever type and memory layout the same numbers are, and with whatever sign a zero has."""
    half = np.random.default_rng(1).normal(size=(50, 80)).astype(np.float16)
    half[:, ::5] = 0.0
    found = row_keys(half.astype(np.float32))
    np.testing.assert_array_equal(row_keys(half), found)
    np.testing.assert_array_equal(row_keys(half.astype(np.float64)), found)
    np.testing.assert_array_equal(row_keys(np.asfortranarray(half)), found)
    np.testing.assert_array_equal(row_keys(half[::-1])[::-1], found)
    np.testing.assert_array_equal(row_keys(np.where(half == 0, np.float16(-0.0), half)), found)


def test_rows_of_a_memory_map(tmp_path: Path) -> None:
    X = np.random.default_rng(2).normal(size=(100, 70)).astype(np.float32)
    np.save(tmp_path / "X.npy", X)
    np.testing.assert_array_equal(row_keys(np.load(tmp_path / "X.npy", mmap_mode="r")), row_keys(X))


def test_a_text_with_another_label_is_another() -> None:
    keys = text_keys(["a", "b", "c", "a"])
    found = with_annotators(keys, [Annotator(LABELS)])
    assert found[0] == found[3] and len(np.unique(found)) == 3
    for row in range(4):
        for label in {-1, 0, 1, 2} - {int(LABELS[row])}:
            changed = LABELS.copy()
            changed[row] = label
            other = with_annotators(keys, [Annotator(changed)])
            assert other[row] != found[row]
            np.testing.assert_array_equal(np.delete(other, row), np.delete(found, row))


def test_all_combinations_of_labels_differ() -> None:
    """Of three LLMs, and who says which."""
    labels = np.array(np.meshgrid(*[np.arange(-1, 20)] * 3)).reshape(3, -1).astype(np.int16)
    keys = np.repeat(text_keys(["a"]), labels.shape[1])
    assert len(np.unique(with_annotators(keys, [Annotator(each) for each in labels]))) == labels.shape[1]


def test_scores_count_and_their_absence() -> None:
    keys = text_keys(["a", "b", "c", "a"])
    scores = np.array([[0.0, 1.0], [2.0, -3.0], [np.nan, np.nan], [0.0, 1.0]])
    found = with_annotators(keys, [Annotator(LABELS, scores)])
    assert found[0] == found[3] and len(np.unique(found)) == 3
    assert (found != with_annotators(keys, [Annotator(LABELS)])).all()
    for row, column in ((0, 1), (1, 0), (2, 0)):
        changed = scores.copy()
        changed[row, column] = 7.0
        other = with_annotators(keys, [Annotator(LABELS, changed)])
        assert other[row] != found[row]
        np.testing.assert_array_equal(np.delete(other, row), np.delete(found, row))
    single = with_annotators(keys, [Annotator(LABELS, scores.astype(np.float32).astype(np.float64))])
    np.testing.assert_array_equal(single, found)
    np.testing.assert_array_equal(with_annotators(keys, []), keys)
