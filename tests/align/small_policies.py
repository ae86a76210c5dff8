"""Policies that write random words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from synthetic import FILLER

WORDS = [*FILLER, *(f"{name}{number}" for name in ("negative", "positive") for number in range(6))]
TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }} {{ m['content'] }} </s>{% endfor %}"
    "{% if add_generation_prompt %}assistant {% endif %}"
)


def word_tokenizer(chat: bool = False) -> Any:
    """One token a word."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["<unk>", "</s>", "<pad>", "user", "assistant", *WORDS]
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    new: Any = PreTrainedTokenizerFast
    made = new(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="</s>", pad_token="<pad>")
    made.chat_template = TEMPLATE if chat else None
    return made


def write_policy(folder: Path, chat: bool = False) -> str:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    tokenizer = word_tokenizer(chat)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=64,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=2,
        **sizes,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)
