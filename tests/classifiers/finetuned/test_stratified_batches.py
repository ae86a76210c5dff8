import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from silr.classifiers.finetuned.stratified_batches import StratifiedBatches
from silr.errors import InputError


def make(sizes: list[int], batch_size: int, **options: int) -> StratifiedBatches:
    rows = np.random.default_rng(0).permutation(sum(sizes))
    sets = np.split(rows, np.cumsum(sizes)[:-1])
    lengths = np.random.default_rng(1).integers(1, 500, sum(sizes))
    return StratifiedBatches(sets, lengths, batch_size, seed=3, **options)


@given(st.lists(st.integers(1, 300), min_size=2, max_size=5), st.sampled_from([8, 12, 16, 32]))
def test_every_batch_holds_every_set_in_fixed_numbers(sizes: list[int], batch_size: int) -> None:
    if sum(sizes) < batch_size:
        return
    batches = make(sizes, batch_size)
    rows = np.random.default_rng(0).permutation(sum(sizes))
    member = np.empty(sum(sizes), int)
    for number, part in enumerate(np.split(rows, np.cumsum(sizes)[:-1])):
        member[part] = number
    drawn = list(batches)
    assert len(drawn) == len(batches) == -(-sum(sizes) // batch_size)
    for batch in drawn:
        counts = np.bincount(member[batch], minlength=len(sizes))
        assert len(batch) == batch_size and (counts == batches.quota).all()
        assert counts.max() - counts.min() <= 1


def test_no_text_comes_twice_before_all_of_its_set_came() -> None:
    batches = make([900, 100], 16)
    assert batches.quota.tolist() == [8, 8]
    times = np.bincount(np.concatenate(list(batches)), minlength=1000)
    rows = np.random.default_rng(0).permutation(1000)
    assert set(times[rows[:900]]) == {0, 1} and set(times[rows[900:]]) == {5, 6}


def test_epochs_together_read_a_large_set_whole() -> None:
    batches = make([900, 100], 16)
    seen: set[int] = set()
    for epoch in range(12):
        batches.set_epoch(epoch)
        seen.update(np.concatenate(list(batches)).tolist())
    assert len(seen) == 1000


def test_what_does_not_divide_comes_from_the_largest_set() -> None:
    assert make([100, 300, 200], 16).quota.tolist() == [5, 6, 5]


def test_an_epoch_depends_on_its_number_only() -> None:
    one, other = make([300, 80], 16), make([300, 80], 16)
    list(one)
    one.set_epoch(2)
    other.set_epoch(2)
    assert list(one) == list(other)
    other.set_epoch(1)
    assert list(one) != list(other)


def test_texts_of_a_batch_are_of_nearly_one_length() -> None:
    lengths = np.random.default_rng(1).integers(1, 500, 4000)
    batches = StratifiedBatches([np.arange(3000), np.arange(3000, 4000)], lengths, 16, 0)
    padded = sum(lengths[batch].max() * len(batch) for batch in batches)
    assert padded < 1.1 * sum(lengths[batch].sum() for batch in batches)


def test_processes_share_a_batch() -> None:
    whole = list(make([300, 80], 16))
    parts = [list(make([300, 80], 16, rank=rank, world_size=4)) for rank in range(4)]
    for step, batch in enumerate(whole):
        assert sorted(row for part in parts for row in part[step]) == sorted(batch)
        assert {len(part[step]) for part in parts} == {4}


@pytest.mark.parametrize(
    ("sizes", "batch_size", "world_size", "said"),
    [
        ([5, 5], 16, 1, "10 texts to train on are fewer than one batch of 16"),
        ([50, 50, 50], 2, 1, "a batch of 2 is too small for 3 classes"),
        ([50, 50], 16, 3, "cannot be shared evenly by 3 processes"),
    ],
)
def test_what_cannot_be_drawn_is_said(sizes: list[int], batch_size: int, world_size: int, said: str) -> None:
    with pytest.raises(InputError, match=said):
        make(sizes, batch_size, world_size=world_size)
