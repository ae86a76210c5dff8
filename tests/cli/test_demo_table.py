"""The reviews with labels: real ones, fetched once, and recorded answers that belong to them."""

from __future__ import annotations

import pytest

from silr.cli.demo_table import demo_table


def test_the_labels_are_those_of_an_llm_that_knows_something() -> None:
    table = demo_table()
    assert list(table.columns) == ["id", "product", "text", "truth", "llm_label"]
    assert len(table) == 3610 and not table.isna().any(axis=None)
    right = table["llm_label"] == table["truth"]
    assert right.mean() == pytest.approx(0.736, abs=0.001)
    assert (table["llm_label"] == "positive").mean() == pytest.approx(0.801, abs=0.001)


@pytest.mark.parametrize(
    ("product", "word"), [("DVD player", "dvd"), ("camera", "camera"), ("phone", "phone"), ("MP3 player", "zen")]
)
def test_a_product_is_the_one_that_its_reviews_speak_of(product: str, word: str) -> None:
    table = demo_table()
    says = table["text"].str.contains(rf"\b{word}", case=False)
    assert (table.loc[says, "product"] == product).mean() > 0.9
