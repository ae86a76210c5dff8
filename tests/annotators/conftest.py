"""The real SmolLM2-135M-Instruct, and tiny models of other architectures with random weights and its tokenizer."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from silr.annotators import LocalAnnotator
from silr.annotators.api.cache import AnswerCache

torch.set_num_threads(min(2, torch.get_num_threads()))


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[AnswerCache]:
    opened = AnswerCache(tmp_path / "answers.sqlite")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def smollm(gguf):
    return LocalAnnotator(
        gguf, ["negative", "positive"], question="Is this review positive or negative?", dtype="float32", device="cpu"
    )


@pytest.fixture(scope="session")
def smollm_folder(smollm) -> str:
    """The GGUF file's model as a folder of its own."""
    return smollm._network.config._name_or_path


@pytest.fixture(scope="session")
def tokenizer(smollm_folder):
    return AutoTokenizer.from_pretrained(smollm_folder)


@pytest.fixture(scope="session")
def make_model(tokenizer, tmp_path_factory):
    """Return a function that saves a small random model with SmolLM2's tokenizer and returns its folder."""

    def make(config, chat: bool = True) -> str:
        torch.manual_seed(0)
        folder = tmp_path_factory.mktemp(config.model_type)
        model = AutoModelForCausalLM.from_config(config)
        with torch.no_grad():
            for weight in model.parameters():  # far from the usual tiny start, so that positions and layers matter
                if weight.dim() > 1:
                    weight.normal_(std=0.3)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        if not chat:
            (folder / "chat_template.jinja").unlink()
        return str(folder)

    return make


@pytest.fixture(scope="session")
def tiny_llama(make_model):
    from transformers import LlamaConfig

    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    return make_model(LlamaConfig(vocab_size=49152, num_key_value_heads=2, max_position_embeddings=128, **sizes))
