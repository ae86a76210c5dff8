"""Which checkpoints say a next word: encoders, classifiers and masked models are refused, not given a random head."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from silr.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

_REMEDY = "no causal language model, which says the next word; give one (...ForCausalLM), such as an instruct model"
_OTHER_HEAD = re.compile(
    r"For(SequenceClassification|TokenClassification|MaskedLM|QuestionAnswering|MultipleChoice|NextSentencePrediction|"
    r"\w*Classification|\w*RewardModel)$"
)
_NAMED = {
    "SequenceClassification": "a sequence classifier",
    "TokenClassification": "a token classifier",
    "MaskedLM": "a masked language model",
    "QuestionAnswering": "a question-answering model",
    "RewardModel": "a reward model",
}
_OTHER_ORDER = ("xlnet", "xlm", "flaubert")  # their language-model heads do not predict the next word


def check_folder(path: Path) -> None:
    """Refuse a folder with the adapters of peft and no weights of a whole model."""
    adapter = path / "adapter_config.json"
    weights = r"(pytorch_)?model.*\.(safetensors|bin)(\.index\.json)?"
    if not adapter.is_file() or any(re.fullmatch(weights, file.name) for file in path.glob("*")):
        return
    base = None
    with suppress(OSError, ValueError, AttributeError):
        base = json.loads(adapter.read_text("utf-8")).get("base_model_name_or_path")
    base = base or "a model that it does not name"
    raise InputError(
        f"the model folder {path} has peft adapters alone, for {base}: merge them into it (merge_and_unload of peft), "
        "save the whole model and give its folder"
    )


def check_kind(model: str, config: PreTrainedConfig) -> None:
    """Refuse a checkpoint whose configuration is that of no causal language model on text alone."""
    if kind := _other_kind(config):
        raise InputError(f"the model {model} is {kind}, {_REMEDY}")


def check_weights(model: str, network: Any, missing: Iterable[str]) -> None:
    """Refuse a network some of whose weights were not in the checkpoint and are random therefore.

    `missing` are the names that transformers did not find; tied weights are not among them.
    """
    new = sorted(set(missing) & {name for name, _ in network.named_parameters()})
    if not new:
        return
    kind = ", ".join(network.config.architectures or [network.config.model_type])
    head = network.get_output_embeddings()
    its = {name for name, weight in network.named_parameters() if head is not None and weight is head.weight}
    if its & set(new):
        raise InputError(f"the model {model} ({kind}) lacks a language-model head ({min(its)}): it is {_REMEDY}")
    raise InputError(
        f"the model {model} ({kind}) is not whole as a causal language model: {len(new)} of its weights are missing, "
        f"such as {new[0]}; give the checkpoint of a language model that generates text"
    )


def _other_kind(config: PreTrainedConfig) -> str | None:
    """Return what a checkpoint is if it is no causal language model."""
    from transformers.models.auto import modeling_auto as auto

    kind = config.model_type
    names = getattr(config, "architectures", None) or [""]
    if getattr(config, "is_encoder_decoder", False):
        return f"an encoder-decoder model ({kind})"
    if head := _OTHER_HEAD.search(names[0]):
        return f"{_NAMED.get(head[1], 'a model with another head')} ({names[0]})"
    if kind in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        bidirectional = kind in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES and not getattr(config, "is_decoder", False)
        if bidirectional or kind in _OTHER_ORDER:
            return f"an encoder that reads words to come ({names[0] or kind})"
        return None
    if "AutoModelForCausalLM" in (getattr(config, "auto_map", None) or {}):
        return None
    if any(hasattr(config, part) for part in ("vision_config", "audio_config", "visual")):
        return f"a vision-language or speech model ({names[0] or kind}), which is not read without its images"
    return f"of the kind {names[0] or kind}"
