"""Tiny models of the families that GGUF files are read of, in Hugging Face form, and the GGUF file of one.

The file is written as llama.cpp's converter writes it: names of tensors by gguf's own tables, queries and keys of Llama
with their halves interleaved, norms of Gemma plus one, the family's metadata, and the tokenizer as tokens, scores and
types.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
import transformers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors, trainers
from tokenizers.models import BPE

CORPUS = [
    "The parcel came late, and the box was broken; I would not buy it again.",
    "A lovely kettle: it boils quickly, looks good and costs 25 euros. I'm happy!",
    "Is this review negative or positive? Answer with one word.\n\nText: it works  well",
    "Die Lieferung kam spät, 1999 und 2024, naïve café. We'll see, they've said, it's fine.",
] * 4
BLANK = "▁"


def sentencepiece(special: list[str], prefix: bool) -> transformers.PreTrainedTokenizerFast:
    """A tokenizer as Llama 2 has it: blanks as a character, bytes for what it does not know; Gemma's without prefix."""
    start = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    before = [normalizers.Prepend(BLANK)] if prefix else []
    backend = Tokenizer(BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    backend.normalizer = normalizers.Sequence([*before, normalizers.Replace(" ", BLANK)])
    backend.pre_tokenizer = pre_tokenizers.Split(
        BLANK, "merged_with_next"
    )  # for training: words that begin with a blank
    backend.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=420, special_tokens=start, show_progress=False))
    state = json.loads(backend.to_str())
    state["pre_tokenizer"], state["added_tokens"] = None, []
    backend = Tokenizer.from_str(json.dumps(state))
    strip = [decoders.Strip(" ", 1, 0)] if prefix else []
    backend.decoder = decoders.Sequence(
        [decoders.Replace(BLANK, " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    )
    backend.add_special_tokens([AddedToken(token, normalized=False) for token in ["<unk>", "<s>", "</s>", *special]])
    backend.post_processor = processors.TemplateProcessing("<s> $A", None, [("<s>", 1)])
    names = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=backend, **names)


def byte_level(pattern: str | None, special: list[str], digits: bool = False) -> transformers.PreTrainedTokenizerFast:
    """A tokenizer as GPT-2 has it, which splits words by a pattern of its own."""
    backend = Tokenizer(BPE())
    whole = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern is None)
    first = (
        pre_tokenizers.Digits(individual_digits=True)
        if digits
        else pre_tokenizers.Split(Regex(pattern or ""), "isolated")
    )
    backend.pre_tokenizer = pre_tokenizers.Sequence([first, whole]) if digits or pattern else whole
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    backend.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    )
    backend.add_special_tokens([AddedToken(token, normalized=False) for token in special])
    return transformers.PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=special[0])


def make_network(config: Any) -> Any:
    """A network with weights far from the usual tiny start, so that scales, windows and norms matter."""
    torch.manual_seed(0)
    network = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if "norm" in name:
                weight.add_(torch.randn_like(weight) * 0.2)
            else:
                weight.normal_(std=0.3 if weight.dim() > 1 else 0.1)
    return network.eval()


def write_gguf(
    path: Path,
    network: Any,
    tokenizer: Any,
    architecture: str,
    metadata: dict[str, Any],
    extra: dict[str, np.ndarray] | None = None,
    quantised: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.F32,
    kind: str = "gpt2",
    pre: str | None = None,
    tokenizer_flags: dict[str, bool] | None = None,
    name: str = "Tiny",
) -> Path:
    """Write a network and its tokenizer; `metadata` has the family's own keys, `extra` tensors beside the weights."""
    config = network.config
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name(name)
    usual = {
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "block_count": config.num_hidden_layers,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.num_key_value_heads,
        "attention.layer_norm_rms_epsilon": config.rms_norm_eps,
    }
    for key, value in (usual | metadata).items():
        add = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}
        add.get(type(value), writer.add_array)(f"{architecture}.{key}", value)
    _write_tokenizer(writer, tokenizer, kind, pre, network.get_input_embeddings().num_embeddings)
    for key, flag in (tokenizer_flags or {}).items():
        writer.add_bool(f"tokenizer.ggml.{key}", flag)
    names = gguf.get_tensor_name_map(
        next(arch for arch, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture), config.num_hidden_layers
    )
    tied = config.tie_word_embeddings
    for parameter, tensor in network.state_dict().items():
        if tied and parameter == "lm_head.weight":
            continue
        weights = _as_written(parameter, tensor.float().numpy(), architecture, config)
        how = quantised if weights.ndim > 1 else gguf.GGMLQuantizationType.F32
        stem, _, suffix = parameter.rpartition(".")
        data = gguf.quantize(weights, how)
        writer.add_tensor(f"{names.get_name(stem)}.{suffix}", data, raw_dtype=how)
    for key, weights in (extra or {}).items():
        writer.add_tensor(key, weights.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _as_written(name: str, weights: np.ndarray, architecture: str, config: Any) -> np.ndarray:
    if architecture == "llama" and ("q_proj" in name or "k_proj" in name):
        heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
        halves = weights.reshape(heads, 2, len(weights) // heads // 2, *weights.shape[1:])
        return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(weights.shape))
    if architecture.startswith("gemma") and "norm" in name:
        return weights + 1
    return weights


def _write_tokenizer(writer: Any, tokenizer: Any, kind: str, pre: str | None, n: int) -> None:
    ids = tokenizer.get_vocab()
    tokens = [f"[PAD{number}]" for number in range(n)]
    for token, number in ids.items():
        tokens[number] = token
    special = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    types = [gguf.TokenType.NORMAL if number < len(ids) else gguf.TokenType.UNUSED for number in range(n)]
    for number in range(n):
        if tokens[number].startswith("<0x"):
            types[number] = gguf.TokenType.BYTE
        if number in special:
            types[number] = gguf.TokenType.CONTROL
    writer.add_tokenizer_model(kind)
    if pre:
        writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    merges = [tuple(pair) for pair in json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]]
    if kind == "llama":
        rank = {"".join(pair): place for place, pair in enumerate(merges)}
        last = {token: -len(merges) - place for place, token in enumerate(tokens)}
        writer.add_token_scores([float(-rank[token] if token in rank else last[token]) for token in tokens])
    else:
        writer.add_token_merges([" ".join(pair) for pair in merges])
    for name in ("bos", "eos", "unk", "pad"):
        number = getattr(tokenizer, f"{name}_token_id")
        if number is not None:
            getattr(writer, f"add_{name}_token_id")(number)
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)
