"""The bill of embeddings before they are asked for; nothing is sent and nothing is written."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from silr.annotators import tokens
from silr.annotators.api.addresses import given_address, server_name
from silr.annotators.api.dry_client import ReadOnlyCache
from silr.annotators.api.prices import embeddings_price, explain_unknown_embeddings
from silr.annotators.api.vectors import Vector, VectorCache
from silr.annotators.cost import Price, in_words, said
from silr.errors import InputError
from silr.io.files import Json
from silr.io.texts import distinct


@dataclass(frozen=True)
class EmbeddingBill:
    """What embeddings of a table's texts would cost."""

    model: str
    server: str
    asked: int  # distinct texts that would be asked about
    known: int  # distinct texts whose embeddings are in the cache
    tokens: int  # of those asked about, as estimated
    price: Price | None  # None: nobody knows it

    @property
    def dollars(self) -> float | None:
        """What it would cost; None if that is unknown, 0 if nothing is asked for."""
        if not self.asked:
            return 0.0
        return None if self.price is None else self.price.dollars(self.tokens, 0)

    def values(self) -> Json:
        """For JSON."""
        values: Json = {"model": self.model, "server": self.server, "asked": self.asked, "known": self.known}
        return values | {
            "tokens": self.tokens,
            "dollars": said(self.dollars),
            "price": self.price and self.price.describe(),
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        beside = f" ({self.known:,} known already)" if self.known else ""
        yield f"embeddings by {self.model}: about {self.tokens:,} tokens of {self.asked:,} texts{beside}"
        if self.asked and self.price is None:
            yield explain_unknown_embeddings(self.model, self.server)
        elif self.price is not None:
            yield f"cost of the embeddings: about {in_words(self.dollars)} ({self.price})"


class _ReadOnlyVectors(ReadOnlyCache, VectorCache):
    def known(self, about: Mapping[str, object], texts: Iterable[str]) -> dict[str, Vector]:
        with suppress(InputError, sqlite3.Error):  # no embedding was ever kept in this file
            return super().known(about, texts)
        return {}


def embedding_bill(
    texts: Sequence[str],
    model: str,
    *,
    base_url: str | None = None,
    dimensions: int | None = None,
    cache: Path | None = None,
    prices: Path | None = None,
) -> EmbeddingBill:
    """Reckon what `EmbeddingsClient.embed` would ask for and cost; equal texts count once, empty ones not at all."""
    server = server_name(given_address(base_url))
    about: dict[str, object] = {"server": server, "model": model}
    about |= {} if dimensions is None else {"dimensions": dimensions}
    filled = [text for text in distinct(texts)[0] if text.strip()]
    known = _ReadOnlyVectors(cache).known(about, filled)
    open_texts = [text for text in filled if text not in known]
    n_tokens = sum(map(tokens.estimate, open_texts))
    price = embeddings_price(model, server, prices=prices)
    return EmbeddingBill(model, server, len(open_texts), len(known), n_tokens, price)
