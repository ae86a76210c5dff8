"""Batches that hold texts of every pseudo-labelled set, of nearly one length."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from silr.errors import InputError

_GROUP = 50  # batches among which texts are sorted by length


class StratifiedBatches(Sampler[list[int]]):
    """Draws the batches of an epoch.

    The UU risk needs the mean loss over every pseudo-labelled set U_j, and its noise comes from the set with the fewest
    texts in the batch, so every batch holds as many of each. The texts of a small set come several times an epoch, of a
    large one not all. An epoch draws as many texts as there are. Within 50 batches at a time, texts are put together by
    length, so that little is padded; the batches then come in random order.

    `sets`: the positions of each set's texts. `lengths`: tokens of the text at each position. `batch_size`: of all
    processes together; this one, number `rank`, takes every `world_size`-th text. Raises InputError if there are fewer
    texts than one batch, or a batch is too small for the classes or the processes.
    """

    def __init__(
        self,
        sets: list[NDArray[np.int64]],
        lengths: NDArray[np.int64],
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        sizes = np.array([len(rows) for rows in sets])
        if sizes.sum() < batch_size:
            raise InputError(
                f"{sizes.sum():,} texts to train on are fewer than one batch of {batch_size}; give more texts or a "
                "smaller --batch-size"
            )
        if batch_size < np.count_nonzero(sizes):
            raise InputError(f"a batch of {batch_size} is too small for {np.count_nonzero(sizes)} classes")
        if batch_size % world_size:
            raise InputError(
                f"a batch of {batch_size} texts cannot be shared evenly by {world_size} processes; take a "
                "--batch-size that can"
            )
        self.quota = _quota(sizes, batch_size)
        self._sets, self._lengths, self._seed = sets, lengths, seed
        self._steps = -(-int(sizes.sum()) // batch_size)
        self._rank, self._world = rank, world_size
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch to draw: each has its own order, whichever was drawn before."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._steps

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng([self._seed, self._epoch])
        drawn = [
            _cycled(rows, count * self._steps, rng) for rows, count in zip(self._sets, self.quota, strict=True) if count
        ]
        for start in range(0, self._steps, _GROUP):
            n = min(_GROUP, self._steps - start)
            parts = []
            for rows in drawn:
                count = len(rows) // self._steps
                some = rows[start * count : (start + n) * count]
                parts.append(some[np.argsort(self._lengths[some], kind="stable")].reshape(n, count))
            for batch in rng.permutation(np.concatenate(parts, axis=1)):
                yield batch[self._rank :: self._world].tolist()


def _quota(sizes: NDArray[np.int64], batch_size: int) -> NDArray[np.int64]:
    """Texts of each set in a batch: as many of each, what does not divide of the largest."""
    quota = np.where(sizes > 0, batch_size // np.count_nonzero(sizes), 0)
    quota[np.argsort(-sizes, kind="stable")[: batch_size - int(quota.sum())]] += 1
    return quota


def _cycled(rows: NDArray[np.int64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """So many rows, each round in an order of its own."""
    rounds = [rng.permutation(rows) for _ in range(-(-count // len(rows)))]
    return np.concatenate(rounds)[:count]
