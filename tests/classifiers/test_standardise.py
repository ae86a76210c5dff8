"""Standardisation in chunks, against scikit-learn's."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from silr.classifiers.standardise import CHUNK_ROWS, Standardiser, as_tensor


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small chunks are several times faster without sharing them among threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def standardised(X: NDArray[Any]) -> NDArray[np.float32]:
    return Standardiser.of(X)(as_tensor(X), slice(None)).numpy()


def expected(X: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(StandardScaler().fit_transform(X.astype(np.float64)))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("n", [2, 100, CHUNK_ROWS - 1, CHUNK_ROWS, CHUNK_ROWS + 1, 2 * CHUNK_ROWS + 5])
def test_equals_scikit_learns(n: int, dtype: type) -> None:
    rng = np.random.default_rng(n)
    X = (rng.normal(size=(n, 4)) * [0.01, 1, 3, 50] + [0, -1, 5, 20]).astype(dtype)
    result = standardised(X)
    assert result.dtype == np.float32
    assert result == pytest.approx(expected(X), abs=2e-4)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    n=st.integers(2, 50),
    exponent=st.floats(-9, 9),
    shift=st.floats(-100, 100),
)
def test_any_scale(seed: int, n: int, exponent: float, shift: float) -> None:
    X = ((np.random.default_rng(seed).normal(size=(n, 3)) + shift) * 10**exponent).astype(np.float32)
    moments = StandardScaler().fit(X.astype(np.float64))
    rounding = np.finfo(np.float32).eps * np.abs(moments.mean_) / moments.scale_  # the mean is kept in float32
    assert (np.abs(standardised(X) - expected(X)) <= 2e-3 + 2 * rounding).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sorted_rows", [False, True])
def test_large_means_do_not_cancel(sorted_rows: bool, dtype: type) -> None:
    X = np.random.default_rng(0).normal(loc=1e4, size=(3 * CHUNK_ROWS, 2))
    if sorted_rows:
        X.sort(axis=0)  # the first rows are not like the others
    X = X.astype(dtype)
    assert standardised(X) == pytest.approx(expected(X), abs=2e-3)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("constant", [0.0, 0.1, -1234.5, 6e4])
def test_a_constant_feature_becomes_zero(constant: float, dtype: type) -> None:
    X = np.full((CHUNK_ROWS + 100, 2), constant, dtype=dtype)
    X[:, 1] = np.random.default_rng(0).normal(size=len(X))
    standardise = Standardiser.of(X)
    assert standardise.scale[0] == 1
    assert (standardise(as_tensor(X), slice(None))[:, 0] == 0).all()
    new = X[:1].copy()
    new[0, 0] += 32
    later = standardise(as_tensor(new), slice(None))  # a new value is shifted, not blown up
    assert float(later[0, 0]) == float(np.float32(new[0, 0]) - np.float32(X[0, 0])) > 0


def test_one_row() -> None:
    assert standardised(np.array([[3.0, -4.0]])).tolist() == [[0, 0]]


def test_float16_does_not_overflow() -> None:
    X = np.array([[6e4], [-6e4]] * 5000, dtype=np.float16)
    assert standardised(X) == pytest.approx(np.sign(X.astype(np.float32)))


def test_new_rows_are_shifted_by_the_moments_of_the_old() -> None:
    rng = np.random.default_rng(1)
    old, new = rng.normal(loc=3, scale=2, size=(500, 3)), rng.normal(size=(7, 3))
    scaler = StandardScaler().fit(old)
    assert Standardiser.of(old)(as_tensor(new), slice(None)).numpy() == pytest.approx(scaler.transform(new), abs=1e-4)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_read_only_memory_map_is_read_in_place(tmp_path: Path, dtype: type) -> None:
    X = np.random.default_rng(2).normal(size=(300, 5)).astype(dtype)
    np.save(tmp_path / "X.npy", X)
    before = (tmp_path / "X.npy").read_bytes()
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = standardised(mapped)
        assert as_tensor(mapped).data_ptr() == mapped.ctypes.data
    assert (result == standardised(X)).all()
    assert (tmp_path / "X.npy").read_bytes() == before


def test_the_input_is_left_alone() -> None:
    X = np.random.default_rng(3).normal(size=(50, 3)).astype(np.float32)
    copy = X.copy()
    standardised(X)
    assert np.array_equal(X, copy)


@pytest.mark.parametrize("view", ["reversed rows", "reversed columns", "every second", "Fortran", "field", "broadcast"])
def test_views_of_every_kind(view: str) -> None:
    X = np.random.default_rng(4).normal(size=(40, 6)).astype(np.float32)
    records = np.zeros((40, 6), dtype=[("flag", "i1"), ("value", "f4")])  # values at odd addresses
    records["value"] = X
    views = {
        "reversed rows": X[::-1],
        "reversed columns": X[:, ::-1],
        "every second": X[::2, ::3],
        "Fortran": np.asfortranarray(X),
        "field": records["value"],
        "broadcast": np.broadcast_to(X[:, :1], X.shape),
    }
    assert standardised(views[view]) == pytest.approx(expected(views[view]), abs=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_same_on_a_gpu() -> None:
    X = np.random.default_rng(5).normal(size=(100, 3)).astype(np.float32)
    moved = Standardiser.of(X).to(torch.device("cuda"))(as_tensor(X), slice(None))
    assert moved.device.type == "cuda"
    assert moved.cpu().numpy() == pytest.approx(standardised(X), abs=1e-6)
