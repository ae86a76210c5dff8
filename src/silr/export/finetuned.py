"""A fine-tuned classifier as a Hugging Face folder: for `pipeline`, for peft, or for TRL as a reward."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from silr.classifiers.finetuned.backbone import output_layer
from silr.classifiers.finetuned.classifier import FinetunedClassifier
from silr.errors import InputError
from silr.export.card import Parts
from silr.export.empty_text import with_last_padding
from silr.hf.models import silence_transformers

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PACKAGES = ("transformers", "torch", "safetensors")
BASE_WEIGHTS = "silr_base_weights"  # in an adapter's config.json


@dataclass(frozen=True)
class FinetunedForm:
    """Form of the folder."""

    classes: list[str]
    adapter: bool  # the adapter alone
    reward: int | None  # the class whose evidence is the one score of a reward model; None for one score a class


def write_finetuned(
    classifier: FinetunedClassifier, tokenizer: PreTrainedTokenizerBase, folder: Path, form: FinetunedForm
) -> Parts:
    """Write weights, tokenizer and label names into an existing folder, in safetensors.

    The tokenizer is that of `TokenFeatures`, which knows the longest text and the prompt.

    Raises InputError if the pretrained model is gone, there is no adapter, or a reward is wanted as one.
    """
    config = classifier.config
    if form.adapter and form.reward is not None:
        raise InputError("TRL reads a reward model as a whole: leave out --adapter, or --reward")
    if form.adapter and config.tuning == "full":
        raise InputError("--adapter: this run has tuned the model's own weights and has no adapter; leave it out")
    network = classifier.with_adapter() if form.adapter else classifier.merged()
    plain = network.get_base_model() if form.adapter else network
    limit = tokenizer.model_max_length
    tokenizer = with_last_padding(tokenizer, network.eval())
    _set_outputs(plain, form)
    with silence_transformers():
        network.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        if form.adapter:
            plain.config.dtype = plain.dtype  # not that of its training
            setattr(plain.config, BASE_WEIGHTS, classifier.base_weights)  # an adapter on another model says nothing
            plain.config.save_pretrained(folder)
    return _parts(config.model, form, limit)


def output_map(n_classes: int, reward: int | None) -> Tensor:
    """The linear map from the scores that were trained to those of the folder, shape (folder's, trained).

    Two classes were trained as one score s: the folder has (0, s), of which the softmax is the classifier's. A reward
    is s or -s, and with more classes the score of its class minus the mean of the others'.
    """
    if n_classes == 2:
        return torch.tensor([[0.0], [1.0]]) if reward is None else torch.tensor([[1.0 if reward else -1.0]])
    if reward is None:
        return torch.eye(n_classes)
    weights = torch.full((1, n_classes), -1 / (n_classes - 1))
    weights[0, reward] = 1.0
    return weights


def _set_outputs(network: Any, form: FinetunedForm) -> None:
    """Map the scores of a transformer, and name them."""
    mapping, last = output_map(len(form.classes), form.reward), output_layer(network)
    with torch.no_grad():
        last.weight = nn.Parameter(mapping @ last.weight)
        if last.bias is not None:
            last.bias = nn.Parameter(mapping @ last.bias)
    last.out_features = len(mapping)
    config, names = network.config, form.classes if form.reward is None else [form.classes[form.reward]]
    config.id2label = dict(enumerate(names))
    config.label2id = {name: number for number, name in enumerate(names)}
    config.problem_type = "single_label_classification" if form.reward is None else None


_PIPELINE = """from transformers import pipeline

classify = pipeline("text-classification", DIR)
classify(["a text", "another"], truncation=True)"""

_ADAPTER = """from peft import PeftConfig, PeftModel
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, pipeline

base = PeftConfig.from_pretrained(DIR).base_model_name_or_path
model = AutoModelForSequenceClassification.from_pretrained(base, config=AutoConfig.from_pretrained(DIR))
model = PeftModel.from_pretrained(model, DIR)
classify = pipeline("text-classification", model, tokenizer=AutoTokenizer.from_pretrained(DIR))
classify(["a text", "another"], truncation=True)"""

_REWARD = """from trl import GRPOConfig, GRPOTrainer

GRPOTrainer(model=POLICY, reward_funcs=DIR, args=GRPOConfig(OUTPUT), train_dataset=PROMPTS).train()"""


def _parts(base: str, form: FinetunedForm, limit: int) -> Parts:
    reads = f"It reads plain texts, up to {limit:,} tokens; the end of longer ones is cut."
    if form.reward is not None:
        rest = " minus the mean of the other classes' scores" if len(form.classes) > 2 else ", as log-odds"
        wanted = form.classes[form.reward]
        note = f"the one score says how much a text is of class {wanted!r}{rest}; TRL reads the folder"
        return Parts("transformers", _REWARD, base, reads, [note], packages=(*PACKAGES, "trl"))
    notes = [f"texts over {limit:,} tokens are cut only if the pipeline is told so: truncation=True"]
    if form.adapter:
        notes.append(f"the adapter needs its model where it was: {base}")
    library, usage = ("peft", _ADAPTER) if form.adapter else ("transformers", _PIPELINE)
    packages = (*PACKAGES, "peft") if form.adapter else PACKAGES
    return Parts(library, usage, base, reads, notes, packages=packages)
