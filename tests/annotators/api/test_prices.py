"""What a model costs: by options, by a file, by the table; and never 0 where nobody knows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from silr.annotators.api.prices import (
    _table,
    embeddings_price,
    explain_unknown,
    explain_unknown_embeddings,
    price_of,
    share_of_files,
)
from silr.annotators.cost import Price
from silr.errors import InputError

OPENAI = "https://api.openai.com/v1"


def test_the_table_holds_at_the_vendor_alone() -> None:
    price = price_of("gpt-4o-mini", OPENAI)
    assert price is not None and (price.prompt, price.completion, price.cached_prompt) == (0.15, 0.6, 0.075)
    assert _table()["date"] in price.source
    for server in ("http://127.0.0.1:8000/v1", "https://openrouter.ai/api/v1", "https://a.openai.azure.com/openai/v1"):
        assert price_of("gpt-4o-mini", server) is None
    assert price_of("gpt-4o-mini-2024-07-18", OPENAI) == price
    assert price_of("gpt-4o-mini-transcribe", OPENAI) is price_of("gpt-9", OPENAI) is None
    dated = price_of("claude-haiku-4-5-20251001", "https://api.anthropic.com/v1")
    assert dated is not None and dated.prompt == 1.0


def test_batches_in_files_cost_half_at_openai_alone() -> None:
    own, listed = Price(1.0, 2.0), price_of("gpt-5-mini", OPENAI)
    assert [share_of_files("m", url, own) for url in (OPENAI, "http://127.0.0.1:8000/v1", None)] == [0.5, 1.0, 1.0]
    assert [share_of_files("gpt-5-mini", None, price) for price in (listed, own, None)] == [0.5, 1.0, 1.0]


def test_prices_of_embeddings(tmp_path: Path) -> None:
    price = embeddings_price("text-embedding-3-small", OPENAI)
    assert price is not None and price.dollars(1_000_000, 0) == 0.02
    assert embeddings_price("text-embedding-3-small", "http://127.0.0.1:8/v1") is None
    assert embeddings_price("gpt-5-mini", OPENAI) is None
    for models in _table()["embeddings"].values():
        assert all(fields.keys() == {"in"} and fields["in"] > 0 for fields in models.values())
    (tmp_path / "prices.json").write_text('{"emb": {"in": 3, "out": 0}}')
    own = embeddings_price("emb", OPENAI, prices=tmp_path / "prices.json")
    assert own is not None and (own.prompt, own.completion) == (3, 0)
    assert "a server on this machine has no price list" in explain_unknown_embeddings("m", "http://localhost/v1")
    assert "at api.openai.com nobody knows it; --prices FILE" in explain_unknown_embeddings("m", OPENAI)


def test_service_tiers() -> None:
    flex = price_of("gpt-5-mini", OPENAI, tier="flex")
    assert flex is not None and flex.dollars(1_000_000, 0) == pytest.approx(0.125)
    assert price_of("gpt-5-mini", OPENAI, tier="priority") is None


def test_every_price_of_the_table_is_a_price() -> None:
    for models in _table()["servers"].values():
        for fields in models.values():
            assert 0 < fields["in"] <= fields["out"] and 0 < fields.get("cached_in", fields["in"]) <= fields["in"]


def test_a_file_of_the_user(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    path.write_text(json.dumps({"*": {"in": 9, "out": 9}, "my-*": {"in": 1, "out": 2}, "gpt-5": {"in": 0, "out": 0}}))
    local = "http://localhost:8000/v1"
    found = {name: price_of(name, local, prices=path) for name in ("my-model", "other", "gpt-5-2025-08-07")}
    assert [price and price.prompt for price in found.values()] == [1, 9, 0]
    path.write_text(json.dumps({"other": {"in": 1, "out": 2}}))
    assert price_of("my-model", local, prices=path) is None
    with_options = price_of("other", local, prices=path, price_in=5.0, price_out=6.0)
    assert with_options is not None and with_options.prompt == 5.0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("model,in,out\n", "is no price file"),
        ("[]", "is no price file"),
        ("{}", "is no price file"),
        ('{"m": 3}', "'m' has 3; a price has in, out"),
        ('{"m": {"in": 1}}', "a price has in, out"),
        ('{"m": {"in": 1, "out": 2, "output": 3}}', "a price has in, out"),
        ('{"m": {"in": -1, "out": 2}}', "in of 'm' is -1, not dollars of 0 or more"),
        ('{"m": {"in": "1", "out": 2}}', "in of 'm' is \"1\""),
        ('{"m": {"in": 1, "out": NaN}}', "out of 'm' is NaN"),
        ('{"m": {"in": true, "out": 1}}', "in of 'm' is true"),
    ],
)
def test_files_that_are_none(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "prices.json"
    path.write_text(content)
    with pytest.raises(InputError, match=said):
        price_of("other", OPENAI, prices=path)


def test_options_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--price-in needs --price-out too"):
        price_of("m", OPENAI, price_in=1.0)
    with pytest.raises(InputError, match="--price-out has to be dollars"):
        price_of("m", OPENAI, price_in=1.0, price_out=-1.0)
    with pytest.raises(InputError, match="does not exist"):
        price_of("m", OPENAI, prices=tmp_path / "none.json")


def test_why_it_is_unknown() -> None:
    assert "the price of m at api.openai.com is not known" in explain_unknown("m", OPENAI)
    for host in ("127.0.0.1:8", "localhost", "[::1]:80", "127.9.9.9"):
        assert "a server on this machine has no price list" in explain_unknown("m", f"http://{host}/v1")
