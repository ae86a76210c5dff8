"""The tokenizer of a GGUF file, as its makers' Hugging Face form has it.

transformers makes it from the vocabulary. Normaliser, splitting and flags, which the file names or its family has, are
set here in the `tokenizer.json` that it writes.
"""

import json
from pathlib import Path
from typing import Any

from silr.hf.gguf_config import GgufFile

Json = dict[str, Any]

_WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_ENDING = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_LLAMA3 = rf"{_ENDING}|{_WORD}|\p{{N}}{{1,3}}|{_REST}"
_QWEN2 = rf"{_ENDING}|{_WORD}|\p{{N}}|{_REST}"
_LLAMA3_NAMES = ("llama-bpe", "llama3", "llama-v3", "falcon3", "smaug-bpe")
_QWEN2_NAMES = ("qwen2", "deepseek-r1-qwen")
_LEFT_ALONE = ("gpt-2", "default", "tekken", "gpt-4o")  # what transformers makes of them
_STRIPPED = "▁"  # the blank of sentencepiece
_BARE = ("<unk>", "<s>", "<|endoftext|>")  # Phi 3's special tokens that keep the white space after them


def write_tokenizer(file: GgufFile, folder: Path) -> None:
    """Write the tokenizer of a file into a folder that holds its configuration, or refuse a kind that is not known."""
    from transformers import AutoTokenizer

    kind = str(file.metadata.get("tokenizer.ggml.model"))
    split = _split_name(file)
    if kind not in ("llama", "gpt2"):
        raise file.refused(f"its tokenizer is of the kind {kind!r}, which silr does not know")
    if kind == "gpt2" and split not in (*_LLAMA3_NAMES, *_QWEN2_NAMES, *_LEFT_ALONE, "smollm"):
        raise file.refused(f"its tokenizer splits words as {split!r}, which silr does not know")
    tokenizer: Any = AutoTokenizer.from_pretrained(file.path.parent, gguf_file=file.path.name)
    if split in _LLAMA3_NAMES and "tokenizer.ggml.add_bos_token" not in file.metadata:
        tokenizer.add_bos_token = True  # as Llama 3 and llama.cpp do
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer.json"
    state = json.loads(path.read_text("utf-8"))
    if kind == "gpt2":
        _set_split(state, split)
    elif not file.family.startswith("gemma"):
        _set_blanks(state, bool(file.metadata.get("tokenizer.ggml.add_space_prefix", True)))
        if file.family == "phi3":
            for token in state["added_tokens"]:
                token["rstrip"] = bool(token["special"]) and token["content"] not in _BARE
    path.write_text(json.dumps(state, ensure_ascii=False), "utf-8")


def _split_name(file: GgufFile) -> str:
    """Return how the tokenizer splits words; files of 2023 and early 2024 do not say it."""
    named = file.metadata.get("tokenizer.ggml.pre")
    if named not in (None, "default"):
        return str(named)
    if file.family.startswith("qwen"):
        return "qwen2"
    return "llama-bpe" if "<|begin_of_text|>" in file.metadata.get("tokenizer.ggml.tokens", ()) else "default"


def _set_split(state: Json, name: str) -> None:
    """Set how a byte-level tokenizer splits words, and whether a whole word that it knows is one token."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    pattern = _LLAMA3 if name in _LLAMA3_NAMES else _QWEN2 if name in _QWEN2_NAMES else None
    if pattern:
        split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
        state["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, byte_level]}
    if name == "smollm":
        digits = {"type": "Digits", "individual_digits": True}
        state["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [digits, byte_level | {"use_regex": True}]}
    if name == "qwen2":
        state["normalizer"] = {"type": "NFC"}
    if name in (*_LLAMA3_NAMES, "tekken"):
        state["model"]["ignore_merges"] = True


def _set_blanks(state: Json, prefix: bool) -> None:
    """Set how a sentencepiece tokenizer treats blanks: one before the text, also after a special token, or none."""
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": _STRIPPED}
    before = [{"type": "Prepend", "prepend": _STRIPPED}] if prefix else []
    state["normalizer"] = {"type": "Sequence", "normalizers": [*before, replace]}
    state["pre_tokenizer"] = None
    back = {"type": "Replace", "pattern": {"String": _STRIPPED}, "content": " "}
    strip = [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if prefix else []
    state["decoder"] = {"type": "Sequence", "decoders": [back, {"type": "ByteFallback"}, {"type": "Fuse"}, *strip]}
