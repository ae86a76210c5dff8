"""The order in which a further person gets the texts that others have labelled."""

from collections.abc import Collection

import numpy as np

from silr.label.draw import Draw
from silr.label.draw_weights import DrawHistory


def drawn_order(rows: Collection[int], history: DrawHistory, draw: Draw, seed: int) -> list[int]:
    """These rows as they were drawn: by strata, then adaptively; those from elsewhere last, at random.

    So the labels of a person who stops early are those of the first texts of the draw, as those of the first person.
    """
    adaptive = sorted(set(rows) & history.adaptive.keys(), key=lambda row: history.adaptive[row].number)
    by_strata = draw.order(history.by_strata(set(rows)))
    others = np.random.default_rng([seed, 3]).permutation(sorted(set(rows) - {*by_strata, *adaptive}))
    return [*by_strata, *adaptive, *map(int, others)]
