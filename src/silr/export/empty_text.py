"""Empty texts in an exported folder: many decoders' tokenizers make no token of it, which no model can read."""

from typing import Any

import torch

SAMPLE = "a text"
NEAR = 1e-5  # of float32 scores: one token more at the end is another order of summation, no other reading


def with_last_padding(tokenizer: Any, network: Any) -> Any:
    """Return a tokenizer that ends each text with the padding token, where it would make nothing of an empty one.

    A decoder's classifier reads the last token that is no padding, which sees nothing behind it: other texts have the
    scores that they had. An empty text is the padding token alone, as `silr.hf.tokens` has it, by itself and
    in a batch.

    The tokenizer has the longest text in ``model_max_length``. It stays as it is where the classifier does read the
    last token.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if tokenizer("")["input_ids"] or backend is None or not _ignores_padding(tokenizer, network):
        return tokenizer
    from tokenizers import Tokenizer
    from tokenizers.processors import Sequence, TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer.from_str(backend.to_str())
    number = int(tokenizer.pad_token_id)
    padding = tokenizer.convert_ids_to_tokens(number)
    last = TemplateProcessing(single=f"$A {padding}", special_tokens=[(padding, number)])
    backend.post_processor = last if backend.post_processor is None else Sequence([backend.post_processor, last])
    positions = getattr(network.config.get_text_config(), "max_position_embeddings", None)
    longest = tokenizer.model_max_length + 1
    sides = {"padding_side": tokenizer.padding_side, "truncation_side": tokenizer.truncation_side}
    names = {"model_max_length": min(longest, positions or longest), "model_input_names": tokenizer.model_input_names}
    names["chat_template"] = getattr(tokenizer, "chat_template", None)
    split = getattr(tokenizer, "split_special_tokens", False)
    new: Any = PreTrainedTokenizerFast  # others would forget the last token when they are loaded again
    return new(tokenizer_object=backend, split_special_tokens=split, **tokenizer.special_tokens_map, **sides, **names)


def _ignores_padding(tokenizer: Any, network: Any) -> bool:
    """Whether scores stay what they are with a padding token at the end."""
    ids = tokenizer(SAMPLE)["input_ids"]
    rows = (torch.tensor([row], device=network.device) for row in (ids, [*ids, tokenizer.pad_token_id]))
    with torch.inference_mode():
        plain, padded = (network(input_ids=row, attention_mask=torch.ones_like(row)).logits.float() for row in rows)
    return bool((plain - padded).abs().max() < NEAR * (1 + plain.abs().max()))
