"""The configuration of a model in a GGUF file, as its makers' Hugging Face form has it.

transformers takes a part of it from the file and the rest from defaults of one model (the head size of Qwen 3, the
scale of attention of Gemma, ...). So it is read here, for the families that a test compares with their Hugging Face
form. Names of metadata and tensors: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from silr.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

_BLOCK = "attn_norm attn_q attn_k attn_v attn_output ffn_norm ffn_gate ffn_up ffn_down"
_NORMS = "attn_q_norm attn_k_norm"
_POST = "post_attention_norm post_ffw_norm"
_FUSED = "attn_norm attn_qkv attn_output ffn_norm ffn_up ffn_down"
_ELSEWHERE = "give the model in Hugging Face form (a folder or a hub name)"
# metadata that change what is computed, which none of the families here has
_CHANGES = ["expert_count", "logit_scale", "residual_scale", "embedding_scale", "attention.max_alibi_bias"]
_CHANGES += ["attention.clamp_kqv", "attention.output_scale", "attention.key_length_mla", "attention.shared_kv_layers"]


Options = dict[str, object]
"""Options of a configuration of transformers."""


@dataclass(frozen=True)
class GgufFile:
    """A GGUF file without its weights."""

    path: Path
    metadata: Mapping[str, Any]  # scalars, strings and lists
    shapes: Mapping[str, tuple[int, ...]]  # of the tensors, rows first
    small: Mapping[str, NDArray[np.float32]]  # the factors of the rotary embedding

    @property
    def family(self) -> str:
        """The architecture that the file names."""
        return str(self.metadata.get("general.architecture", "without a name"))

    def get(self, key: str, default: object = None) -> Any:
        """Return a value of the family's own metadata."""
        return self.metadata.get(f"{self.family}.{key}", default)

    def need(self, key: str) -> Any:
        """Return such a value; raise an `InputError` if the file does not say it."""
        if (value := self.get(key)) is None:
            raise self.refused(f"it lacks {self.family}.{key}")
        return value

    def refused(self, reason: str) -> InputError:
        """Return the error that names the file, its family and what to do."""
        file = f"a GGUF file of the family {self.family}"
        return InputError(f"cannot load the model {self.path}: {file}: {reason}; {_ELSEWHERE}")


def read_gguf(path: Path) -> GgufFile:
    """Read a file's metadata and the names and shapes of its tensors."""
    from gguf import GGUFReader, dequantize

    reader = GGUFReader(path)
    metadata = {name: _value(field) for name, field in reader.fields.items()}
    shapes = {tensor.name: tuple(map(int, reversed(tensor.shape))) for tensor in reader.tensors}
    factors = [tensor for tensor in reader.tensors if tensor.name.startswith("rope_")]
    small = {item.name: np.asarray(dequantize(item.data, item.tensor_type), np.float32).ravel() for item in factors}
    return GgufFile(path, metadata, shapes, small)


def config_of(file: GgufFile) -> PreTrainedConfig:
    """Return the configuration of the model in a file, or refuse what is not the whole of one of `FAMILIES`."""
    from transformers import AutoConfig

    family = FAMILIES.get(file.family)
    if family is None:
        known = ", ".join(FAMILIES)
        raise file.refused(f"silr reads {known} (Llama 2 and 3, SmolLM2, Mistral, Qwen 2 to 3, Gemma 2 and 3, Phi 3)")
    if int(file.metadata.get("split.count") or 1) > 1:
        raise file.refused("it is one part of several; put them together with llama-gguf-split --merge")
    if "token_embd.weight" not in file.shapes:
        raise file.refused("it has no weights of a whole model (token_embd.weight)")
    for key in _CHANGES:
        if file.get(key):
            raise file.refused(f"{file.family}.{key} is {file.get(key)}, which silr does not know")
    _check_tensors(file, family)
    options = _common(file) | family.options(file)
    config: PreTrainedConfig = AutoConfig.for_model(str(options.pop("model_type")), **options)
    return config


def _check_tensors(file: GgufFile, family: Family) -> None:
    """Refuse a file with tensors that the family does not have: they would be left out without a word."""
    known = "|".join(family.tensors.split())
    known = rf"(token_embd|output_norm|output)\.weight|rope_\w+\.weight|blk\.\d+\.({known})\.(weight|bias)"
    if strange := [name for name in file.shapes if not re.fullmatch(known, name)]:
        raise file.refused(f"it has tensors that silr does not know for this family, such as {strange[0]}")


def _common(file: GgufFile) -> Options:
    heads, base = file.need("attention.head_count"), file.get("rope.freq_base", 10000.0)
    options: Options = {
        "max_position_embeddings": file.need("context_length"),
        "num_hidden_layers": file.need("block_count"),
        "hidden_size": file.need("embedding_length"),
        "intermediate_size": file.need("feed_forward_length"),
        "num_attention_heads": heads,
        "num_key_value_heads": file.get("attention.head_count_kv", heads),
        "rms_norm_eps": file.need("attention.layer_norm_rms_epsilon"),
        "rope_theta": base,
        "vocab_size": file.shapes["token_embd.weight"][0],
        "tie_word_embeddings": "output.weight" not in file.shapes,
        "bos_token_id": file.metadata.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": file.metadata.get("tokenizer.ggml.eos_token_id"),
        "pad_token_id": file.metadata.get("tokenizer.ggml.padding_token_id"),
    }
    for name, value in options.items():
        if isinstance(value, list):
            raise file.refused(f"its layers differ in {name}")
    if scaling := _rope_scaling(file, base):
        options["rope_scaling"] = scaling
    return options


def _head_dim(file: GgufFile) -> int:
    """Return the size of a head, which is what the weights say."""
    rows = file.shapes.get("blk.0.attn_q.weight", (0,))[0]
    size = rows // file.need("attention.head_count") or file.get("attention.key_length")
    for key in ("key_length", "value_length"):
        if file.get(f"attention.{key}", size) != size:
            raise file.refused(f"its attention.{key} is not the size of its heads, {size}")
    return int(size)


def _rope_scaling(file: GgufFile, base: float) -> Options | None:
    """Return the scaling of the rotary embedding, None for none."""
    kind = file.get("rope.scaling.type")
    factor = file.get("rope.scaling.factor") or file.get("rope.scale_linear")
    original = file.get("rope.scaling.original_context_length")
    if "rope_freqs.weight" in file.small:
        return _llama3(file.small["rope_freqs.weight"], base)
    if "rope_factors_long.weight" in file.small:
        return _longrope(file, original)
    if kind == "yarn":
        scaling = {"rope_type": "yarn", "factor": factor, "original_max_position_embeddings": original}
        scaling |= {name: file.get(f"rope.scaling.yarn_{name}") for name in ("beta_fast", "beta_slow")}
        return {name: value for name, value in scaling.items() if value is not None}
    if kind not in (None, "none", "linear"):
        raise file.refused(f"its rope.scaling.type is {kind!r}, which silr does not know")
    return {"rope_type": "linear", "factor": factor} if factor and factor != 1 else None


def _llama3(factors: NDArray[np.float32], base: float) -> Options:
    """Return the scaling of Llama 3.1 that gives these factors, or else the factors themselves.

    The file has a factor for each frequency; Llama 3.1 and 3.2 make them from one factor and fixed bounds on the wave
    length, as in transformers' `_compute_llama3_parameters`.
    """
    factor, low, high, original = float(factors.max()), 1.0, 4.0, 8192
    waves = 2 * math.pi * base ** (np.arange(len(factors)) / len(factors))
    smooth = np.clip((original / waves - low) / (high - low), 0, 1)
    if np.allclose(1 / ((1 - smooth) / factor + smooth), factors, rtol=1e-3):
        bounds = {"low_freq_factor": low, "high_freq_factor": high, "original_max_position_embeddings": original}
        return {"rope_type": "llama3", "factor": factor, **bounds}
    same = [float(value) for value in factors]
    return {"rope_type": "longrope", "short_factor": same, "long_factor": same, "factor": 1.0, "attention_factor": 1.0}


def _longrope(file: GgufFile, original: int | None) -> Options:
    """Return Phi 3's factors for short and for long texts."""
    if original is None or "rope_factors_short.weight" not in file.small:
        raise file.refused("its factors of the rotary embedding are not whole")
    long, short = ([float(value) for value in file.small[f"rope_factors_{name}.weight"]] for name in ("long", "short"))
    scaling: Options = {"rope_type": "longrope", "short_factor": short, "long_factor": long}
    scale = file.need("context_length") / original
    usual = math.sqrt(1 + math.log(scale) / math.log(original)) if scale > 1 else 1.0  # transformers' own
    factor = file.get("rope.scaling.attn_factor", usual)
    return scaling if math.isclose(factor, usual, rel_tol=1e-3) else {**scaling, "attention_factor": factor}


def _llama(file: GgufFile) -> Options:
    options: Options = {"model_type": "llama", "head_dim": _head_dim(file)}
    if file.get("attention.sliding_window"):  # Mistral is Llama with a window
        options |= {"model_type": "mistral", "sliding_window": file.get("attention.sliding_window")}
    elif "blk.0.attn_q.bias" in file.shapes or "blk.0.ffn_up.bias" in file.shapes:
        options["attention_bias"] = "blk.0.attn_q.bias" in file.shapes
        options["mlp_bias"] = "blk.0.ffn_up.bias" in file.shapes
    return options


def _qwen2(file: GgufFile) -> Options:
    if _head_dim(file) * file.need("attention.head_count") != file.need("embedding_length"):
        raise file.refused("the size of its heads is not the usual one of Qwen 2")
    return {"model_type": "qwen2"}


def _qwen3(file: GgufFile) -> Options:
    bias = "blk.0.attn_q.bias" in file.shapes
    return {"model_type": "qwen3", "head_dim": _head_dim(file), "attention_bias": bias}


def _gemma(file: GgufFile, kind: str, largest: int) -> Options:
    """Gemma 2 and 3: scale of attention, soft caps, and windows in some of the layers.

    The file does not say the scale: it is one over the root of the head size, but for the 27B models, known by their
    number of layers, of the hidden size over the heads (so llama.cpp).
    """
    size = _head_dim(file)
    by_width = file.need("embedding_length") / file.need("attention.head_count")
    scalar = by_width if file.need("block_count") == largest else size
    if scale := file.get("attention.scale"):
        scalar = 1 / scale**2
    options: Options = {"model_type": kind, "head_dim": size, "query_pre_attn_scalar": round(scalar)}
    if window := file.get("attention.sliding_window"):
        options["sliding_window"] = window
    pattern = file.get("attention.sliding_window_pattern", 2 if kind == "gemma2" else 6)
    layers = range(file.need("block_count"))
    slides = pattern if isinstance(pattern, list) else [(layer + 1) % pattern > 0 for layer in layers]
    options["layer_types"] = ["sliding_attention" if slides[layer] else "full_attention" for layer in layers]
    for name, cap in (("attn_logit_softcapping", 50.0), ("final_logit_softcapping", 30.0)):
        options[name] = file.get(name, cap if kind == "gemma2" else None)
    return options


def _gemma3(file: GgufFile) -> Options:
    bases = {"rope_theta": ("rope.freq_base", 1_000_000.0), "rope_local_base_freq": ("rope.freq_base_swa", 10_000.0)}
    return _gemma(file, "gemma3_text", 62) | {name: file.get(*key) for name, key in bases.items()}


def _phi3(file: GgufFile) -> Options:
    size = file.need("embedding_length") // file.need("attention.head_count")
    original = file.get("rope.scaling.original_context_length", file.need("context_length"))
    return {
        "model_type": "phi3",
        "sliding_window": file.get("attention.sliding_window") or None,
        "original_max_position_embeddings": original,
        "partial_rotary_factor": file.get("rope.dimension_count", size) / size,
    }


@dataclass(frozen=True)
class Family:
    """A family of models: how its configuration is read, and the tensors of a layer."""

    options: Callable[[GgufFile], Options]
    tensors: str


FAMILIES = {
    "llama": Family(_llama, _BLOCK),
    "qwen2": Family(_qwen2, _BLOCK),
    "qwen3": Family(_qwen3, f"{_BLOCK} {_NORMS}"),
    "gemma2": Family(partial(_gemma, kind="gemma2", largest=46), f"{_BLOCK} {_POST}"),
    "gemma3": Family(_gemma3, f"{_BLOCK} {_NORMS} {_POST}"),
    "phi3": Family(_phi3, _FUSED),
}


def _value(field: Any) -> Any:
    """Return a metadata value of gguf's reader."""
    is_text = field.types[-1].name == "STRING"
    values = [bytes(field.parts[at]).decode() if is_text else field.parts[at][0].item() for at in field.data]
    return values if field.types[0].name == "ARRAY" else values[0]
