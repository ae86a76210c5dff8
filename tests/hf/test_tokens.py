"""Passes over texts: every text once, few padded tokens, whatever the processes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from silr.hf.tokens import passes


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=300), st.integers(1, 4))
def test_passes_hold_each_text_once_and_a_bounded_number_of_tokens(lengths: list[int], processes: int) -> None:
    longest_first = np.sort(np.array(lengths))[::-1]
    found = passes(longest_first, processes)
    np.testing.assert_array_equal(np.concatenate(found), np.arange(len(lengths)))
    for rows in found:
        a_process = -(-len(rows) // processes)
        assert a_process == 1 or a_process * longest_first[rows].max() <= 16_384


def test_short_texts_are_read_together() -> None:
    assert len(passes(np.full(50, 10))) == 1
