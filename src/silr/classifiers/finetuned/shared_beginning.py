"""What all texts begin with, such as a prompt, is read once a batch: nothing that follows changes it in a decoder."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor

from silr.classifiers.finetuned.lower_layers import EnoughError
from silr.classifiers.finetuned.network import Network
from silr.hf.tokens import Tokens

MIN_BEGINNING = 8  # tokens: fewer are not worth a pass of their own
_STATE_TOLERANCE = 0.02  # relative difference of states that rounding to half precision makes


@contextmanager
def begin_once(network: Network, tokens: Tokens) -> Iterator[int]:
    """Let a decoder read the common beginning of the texts once for all texts of a batch, inside the block.

    Its keys and values are computed for one row, with their gradients, and repeated. Scores and gradients are those of
    the plain pass, to rounding. `tokens` are all texts that are read inside the block. Encoders, and decoders whose
    cache does not give the same states, are left alone.

    Yields
    ------
    int
        The tokens that are read once; 0 if the network is left alone.
    """
    plain = network.get_base_model() if hasattr(network, "get_base_model") else network
    length = tokens.common_start
    if length < MIN_BEGINNING or not hasattr(plain, "score") or not _is_the_same(plain, tokens, length):
        yield 0
        return
    whole = plain.forward

    def forward(input_ids: Tensor, attention_mask: Tensor, **options: object) -> object:
        cache = _read_beginning(_decoder(plain), input_ids[:1, :length], len(input_ids))
        options = {**options, "past_key_values": cache, "use_cache": True}
        return whole(input_ids=input_ids[:, length:], attention_mask=attention_mask, **options)

    plain.forward = forward
    try:
        yield length
    finally:
        del plain.forward


def _decoder(plain: Network) -> Network:
    return getattr(plain, plain.base_model_prefix)


def _read_beginning(decoder: Network, ids: Tensor, rows: int) -> Any:
    """A cache with keys and values of the beginning, for so many texts."""
    from transformers import DynamicCache

    cache: Any = DynamicCache(config=decoder.config)
    with suppress(EnoughError):  # only the lower layers are wanted
        decoder(input_ids=ids, past_key_values=cache, use_cache=True)
    some = next(layer for layer in cache.layers if layer.get_seq_length())
    for number, layer in enumerate(cache.layers):
        if not layer.get_seq_length():  # layers that are passed over: their length says where texts go on
            cache.update(torch.zeros_like(some.keys), torch.zeros_like(some.values), number)
    cache.batch_repeat_interleave(rows)
    return cache


def _is_the_same(plain: Network, tokens: Tokens, length: int) -> bool:
    """Whether going on from the cache gives the states of a whole pass, tried with one text."""
    decoder, training = _decoder(plain), plain.training
    plain.eval()
    ids = torch.from_numpy(tokens.ids[0].astype("int64"))[None].to(next(plain.parameters()).device)
    try:
        with torch.inference_mode():
            wanted = decoder(input_ids=ids, use_cache=False).last_hidden_state[0, length:]
            cache = _read_beginning(decoder, ids[:, :length], 1)
            continued = decoder(input_ids=ids[:, length:], past_key_values=cache, use_cache=True).last_hidden_state[0]
        return bool((continued - wanted).norm() < _STATE_TOLERANCE * wanted.norm())
    except (TypeError, ValueError, RuntimeError, AttributeError, StopIteration):  # a cache of another kind, or none
        return False
    finally:
        plain.train(training)
