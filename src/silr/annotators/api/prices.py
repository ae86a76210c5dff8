"""What a model costs: by the user's options, by the user's file, or by the table that comes with silr.

Prices are dollars for a million tokens. Those of the table hold at the vendor's own server alone: the same model costs
something else elsewhere, and a server on this machine has no price list. A price that nobody knows is None, never 0.
"""

from __future__ import annotations

import json
import math
import re
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from silr.annotators.api.addresses import OPENAI
from silr.annotators.cost import BATCH_SHARE, Price
from silr.errors import InputError
from silr.io.class_names import listed
from silr.io.files import Json

_SNAPSHOT = re.compile(r"[-@](latest|\d{8}|\d{4}-\d{2}-\d{2})")  # what follows a model's name in that of a snapshot
_TIERS = {"default": 1.0, "auto": 1.0, "flex": 0.5}  # prices of OpenAI's service tiers, beside the usual one
_FIELDS = {"in", "out", "cached_in"}


def price_of(
    model: str,
    server: str,
    *,
    price_in: float | None = None,
    price_out: float | None = None,
    prices: str | Path | None = None,
    tier: str | None = None,
) -> Price | None:
    """The price of a model at a server; None if nobody knows it.

    Parameters
    ----------
    model : str
        The server's name for it. That of a snapshot, such as ``gpt-4o-mini-2024-07-18``, has the model's price.
    server : str
        Its address.
    price_in, price_out : float, default None
        Dollars for a million tokens of prompts and of answers; both or neither.
    prices : str or Path, default None
        JSON file: name of a model, in which ``*`` stands for anything -> ``in``, ``out`` and perhaps ``cached_in``.
        A model that it lacks has the price of silr's table.
    tier : str, default None
        The service tier. In silr's table "flex" has half the price; what others cost is not known to it.

    Raises
    ------
    InputError
        The file is no such table, a price is no number or negative, or one of two is missing.
    """
    if (price_in is None) != (price_out is None):
        given, missing = ("--price-in", "--price-out") if price_out is None else ("--price-out", "--price-in")
        raise InputError(f"{given} needs {missing} too: prompts and answers have prices of their own")
    if price_in is not None and price_out is not None:
        named = {"--price-in": price_in, "--price-out": price_out}
        for name, value in named.items():
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"{name} has to be dollars for a million tokens, 0 or more, not {value:g}")
        return Price(price_in, price_out, source="by --price-in and --price-out")
    if prices is not None and (fields := _find(model, _read(Path(prices)))) is not None:
        return _price(fields, f"by {Path(prices).name}")
    table = _table()
    of_server = table["servers"].get(urlsplit(server).hostname or "", {})
    fields = _find(model, of_server)
    factor = _TIERS.get((tier or "default").lower())
    if fields is None or factor is None:
        return None
    return _price(fields, f"by silr's table of {table['date']}; prices change").times(factor)


def share_of_files(model: str, base_url: str | None, price: Price | None, tier: str | None = None) -> float:
    """What share of a price batches cost that somebody has answered from files: OpenAI's alone are cheaper.

    Where no `base_url` names the server, they count as OpenAI's if the `price` is that of OpenAI's model.
    """
    if base_url is not None:
        return BATCH_SHARE if urlsplit(base_url).hostname == urlsplit(OPENAI).hostname else 1.0
    return BATCH_SHARE if price is not None and price == price_of(model, OPENAI, tier=tier) else 1.0


def embeddings_price(model: str, server: str, *, prices: str | Path | None = None) -> Price | None:
    """The price of an embedding model at a server, by the user's file or by silr's table; None if nobody knows it."""
    if prices is not None and (fields := _find(model, _read(Path(prices)))) is not None:
        return Price(fields["in"], 0.0, source=f"by {Path(prices).name}")
    table = _table()
    fields = _find(model, table["embeddings"].get(urlsplit(server).hostname or "", {}))
    source = f"by silr's table of {table['date']}; prices change"
    return None if fields is None else Price(fields["in"], 0.0, source=source)


def explain_unknown_embeddings(model: str, server: str) -> str:
    """Say why there is no price of embeddings, and how to give one."""
    host = urlsplit(server).hostname
    why = "a server on this machine has no price list" if is_on_this_machine(server) else f"at {host} nobody knows it"
    return f"dollars of the embeddings by {model} unknown: {why}; --prices FILE sets the price"


def explain_unknown(model: str, server: str) -> str:
    """Say why there is no price, and how to give one."""
    host = urlsplit(server).hostname
    why = f"the price of {model}{f' at {host}' if host else ''} is not known"
    if is_on_this_machine(server):
        why = "a server on this machine has no price list"
    elif not urlsplit(server).hostname:
        why = "files have no price list"
    return f"dollars unknown: {why}; --price-in and --price-out, or --prices FILE, set the price"


def is_on_this_machine(server: str) -> bool:
    """Whether an address is one of this machine's own."""
    host = urlsplit(server).hostname or ""
    return host == "localhost" or host.endswith(".localhost") or host == "::1" or host.startswith("127.")


@cache
def _table() -> Json:
    table: Json = json.loads((files("silr.annotators.api") / "prices.json").read_text(encoding="utf-8"))
    return table


def _find(model: str, table: Json) -> Json | None:
    """The entry of a model: by its name, by that of which it is a snapshot, or by the longest pattern."""
    if model in table:
        return dict(table[model])
    for name, fields in table.items():
        if model.startswith(name) and _SNAPSHOT.fullmatch(model, len(name)):
            return dict(fields)
    fitting = [name for name in table if fnmatchcase(model, name)]
    return dict(table[max(fitting, key=len)]) if fitting else None


def _price(fields: Json, source: str) -> Price:
    return Price(fields["in"], fields["out"], fields.get("cached_in"), source=source)


def _read(path: Path) -> Json:
    """A price file of the user; InputError if it is none."""
    form = (
        'a JSON object like {"gpt-4o-mini": {"in": 0.15, "out": 0.6, "cached_in": 0.075}}, in dollars a million tokens'
    )
    try:
        table: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"the price file {path} does not exist") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no price file ({error}); it has to be {form}") from error
    if not isinstance(table, dict) or not table:
        raise InputError(f"{path} is no price file; it has to be {form}")
    for model, fields in table.items():
        if not isinstance(fields, dict) or not {"in", "out"} <= fields.keys() <= _FIELDS:
            found = listed(list(fields)) if isinstance(fields, dict) else json.dumps(fields)[:40]
            raise InputError(f"{path}: {model!r} has {found or 'nothing'}; a price has in, out and perhaps cached_in")
        for name, value in fields.items():
            number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
            if not number or value < 0:
                raise InputError(f"{path}: {name} of {model!r} is {json.dumps(value)[:40]}, not dollars of 0 or more")
    return table
