"""Loading a causal language model: from a folder, the Hugging Face hub, or a GGUF file (converted once and cached)."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Any

from silr.errors import InputError
from silr.hf.devices import best_device, best_dtype
from silr.hf.gguf_config import GgufFile, config_of, read_gguf
from silr.hf.gguf_tokenizer import write_tokenizer
from silr.hf.hub import check_hub
from silr.hf.model_kinds import check_folder, check_kind, check_weights
from silr.io.cache import cache_folder, made_once

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_FORM = 2  # of what is made of a GGUF file; another number makes it anew
_DTYPES = ("float32", "bfloat16", "float16")


def locate(model: str | Path) -> str:
    """Return the absolute path of a folder or `.gguf` file, or the hub name unchanged; InputError for all else."""
    path = Path(model).expanduser()
    is_gguf = path.suffix.lower() == ".gguf"
    if path.is_dir():
        check_folder(path)
        if (path / "config.json").is_file():
            return str(path.resolve())
        ggufs = sorted(file for file in path.iterdir() if file.suffix.lower() == ".gguf")
        if len(ggufs) == 1:
            return str(ggufs[0].resolve())
        content = f"{len(ggufs)} .gguf files, name one of them" if ggufs else "neither config.json nor a .gguf file"
        raise InputError(f"the model folder {path} has {content}")
    if path.is_file() and is_gguf:
        return str(path.resolve())
    if not path.is_file() and _HUB_NAME.fullmatch(str(model)) and not is_gguf:
        return str(model)
    problem = f"{path} is no model" if path.is_file() else f"no model at {path}"
    raise InputError(f"{problem}: give a model folder, a .gguf file or a name on the Hugging Face hub")


def load(model: str, device: str, dtype: str, trust_remote_code: bool = False) -> tuple[Any, Any]:
    """Load a tokenizer and a model that is ready to read; InputError says why it cannot be read and what to do.

    `model` is what `locate` returned, and `device` may be "auto", which spreads a large model over all GPUs.
    """
    if dtype not in _DTYPES:
        raise InputError(f"dtype is {dtype!r}; it must be one of {', '.join(_DTYPES)}")
    from transformers import AutoTokenizer

    with explain_load_errors(model), silence_transformers():
        folder = folder_of(model, dtype)
        network = causal_network(model, folder, dtype=dtype, device_map=device, trust_remote_code=trust_remote_code)
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code)
    network.eval()
    return tokenizer, network


def causal_network(model: str, folder: str | Path, trust_remote_code: bool = False, **options: Any) -> Any:
    """Load a causal language model whose every weight is in its checkpoint.

    `model` is what `locate` returned, for messages; `folder` what `folder_of` returned; `options` are transformers'.
    What transformers would give a random head, such as an encoder or a classifier, is an InputError.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    auto: Any = AutoModelForCausalLM
    check_kind(model, AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code))
    network, loaded = auto.from_pretrained(
        folder, trust_remote_code=trust_remote_code, output_loading_info=True, **options
    )
    check_weights(model, network, loaded["missing_keys"])
    return network


def load_tokenizer(model: str) -> Any:
    """Load the tokenizer for a classifier: its longest input is what the model reads, and it can pad, on the right.

    A tokenizer without a padding token pads with its end token, which the model's attention mask hides.
    """
    from transformers import AutoConfig, AutoTokenizer

    with explain_load_errors(model), silence_transformers():
        folder = folder_of(model, best_dtype(best_device()))
        config = AutoConfig.from_pretrained(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder)
    positions = getattr(config.get_text_config(), "max_position_embeddings", None) or tokenizer.model_max_length
    tokenizer.model_max_length = min(tokenizer.model_max_length, positions)
    tokenizer.padding_side = tokenizer.truncation_side = "right"
    if tokenizer.pad_token_id is None:
        if tokenizer.eos_token_id is None:
            raise InputError(f"the tokenizer of {model} has neither a padding token nor an end token; set pad_token")
        tokenizer.pad_token_id = tokenizer.eos_token_id
    return tokenizer


def folder_of(model: str, dtype: str) -> str | Path:
    """Return what transformers can load: a folder or hub name as it is, a GGUF file converted to a folder.

    InputError for a name where the hub does not answer, and has not been asked for the model before.
    """
    if model.endswith((".gguf", ".GGUF")):
        return _converted(Path(model), dtype)
    check_hub(model)
    return model


def network_fingerprint(network: torch.nn.Module) -> str:
    """Return a hash over 64 numbers of every weight: another model at the same path has another one."""
    digest = hashlib.sha256()
    for name, weight in network.named_parameters():
        flat = weight.detach().flatten()
        sample = flat[:: max(1, len(flat) // 64)][:64]
        digest.update(name.encode() + sample.float().cpu().numpy().tobytes())
    return digest.hexdigest()[:32]


def tokenizer_fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return a hash over the vocabulary, the special tokens and the chat template."""
    parts = [sorted(tokenizer.get_vocab().items()), tokenizer.special_tokens_map, tokenizer.chat_template]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _converted(gguf: Path, dtype: str) -> Path:
    """Return a model folder with the dequantised weights of a GGUF file, made on the first call.

    It lies in the user's cache under the file's content, the dtype and the form of the conversion, so that copies of a
    file share it.
    """
    with gguf.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    cache = cache_folder() / "models"
    try:
        return made_once(cache / f"{gguf.stem}-{content}-{dtype}-{_FORM}", lambda folder: _convert(gguf, folder, dtype))
    except OSError as error:
        if error.errno is None:  # transformers' own complaint about the file
            raise
        reason = f"cannot keep the converted model in {cache}: {error.strerror}"
        raise InputError(f"{reason}; set XDG_CACHE_HOME to a folder with room") from error


def _convert(gguf: Path, folder: Path, dtype: str) -> None:
    """Write a GGUF file's model into a folder, in Hugging Face form; refuse one that is unknown or not whole."""
    import torch
    from transformers import AutoModelForCausalLM

    try:
        file = read_gguf(gguf)
    except (ValueError, KeyError, IndexError) as error:
        reason = str(error).strip().split("\n", 1)[0]
        raise InputError(
            f"cannot load the model {gguf}: it is no whole GGUF file ({reason}); fetch it again, or give the model in "
            "Hugging Face form (a folder or a hub name)"
        ) from error
    config = config_of(file)
    try:
        source = _dequantized(file, config, dtype)
        with torch.device("meta"):
            plain = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))
        plain.load_state_dict(source.state_dict(), assign=True)
        plain.tie_weights()
        plain.generation_config = source.generation_config
        plain.save_pretrained(folder)
        write_tokenizer(file, folder)
    except (InputError, MemoryError, OSError):
        raise
    except Exception as error:  # of any of three libraries
        raise file.refused(str(error).strip().split("\n", 1)[0] or type(error).__name__) from error


def _dequantized(file: GgufFile, config: PreTrainedConfig, dtype: str) -> PreTrainedModel:
    """Return a network of transformers with a GGUF file's weights, all of them."""
    from transformers import AutoConfig, AutoModelForCausalLM

    auto: Any = AutoModelForCausalLM
    read_as = copy.deepcopy(config)
    if config.model_type == "mistral":  # transformers knows its tensors as Llama's, which are the same
        options = config.to_dict()
        del options["model_type"], options["architectures"]
        read_as = AutoConfig.for_model(file.family, **options)
    with redirect_stderr(io.StringIO()):  # a progress bar that no setting of transformers turns off
        network, loaded = auto.from_pretrained(
            file.path.parent, gguf_file=file.path.name, config=read_as, dtype=dtype, output_loading_info=True
        )
    if missing := sorted(loaded["missing_keys"]):
        raise file.refused(f"it lacks weights, such as {missing[0]}")
    dequantized: PreTrainedModel = network
    return dequantized


@contextmanager
def explain_load_errors(model: str) -> Iterator[None]:
    """Turn whatever reading somebody's model files raises into one line."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:  # files of any origin, read by code of any origin
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(error, torch.OutOfMemoryError):
            raise InputError(f"the model {model} does not fit into the memory of the device") from error
        reason = str(error).strip().split("\n", 1)[0] or type(error).__name__
        hint = "" if Path(model).exists() else "; without a connection give a model folder or a .gguf file"
        raise InputError(f"cannot load the model {model}: {reason}{hint}") from error


@contextmanager
def silence_transformers() -> Iterator[None]:
    """Silence transformers' progress bars and warnings while a model loads."""
    from transformers.utils import logging as untyped

    logging: Any = untyped

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
