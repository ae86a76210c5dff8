"""Checkpoints that cannot say a next word are refused by what they are; tied language models are not."""

import pytest
import torch
import transformers

from silr.align.policy import PolicySource
from silr.errors import InputError
from silr.hf import models

SIZES = {"vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
BART = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}
IMAGES = {**SIZES, "image_size": 28, "patch_size": 14}
IMAGES.pop("vocab_size")


def tied():
    return transformers.LlamaConfig(**SIZES, tie_word_embeddings=True)


def llava():
    text, vision = transformers.LlamaConfig(**SIZES), transformers.CLIPVisionConfig(**IMAGES)
    return transformers.LlavaForConditionalGeneration(transformers.LlavaConfig(text_config=text, vision_config=vision))


def save(network, folder):
    network.save_pretrained(folder)
    words = {word: number for number, word in enumerate(["[UNK]", "a", "b", "good", "bad"])}
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    backend = Tokenizer(WordLevel(words, unk_token="[UNK]"))
    transformers.PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="[UNK]").save_pretrained(folder)
    return models.locate(folder)


def load(folder):
    return models.load(folder, "cpu", "float32")[1]


OTHERS = {
    "encoder": (lambda: transformers.BertModel(transformers.BertConfig(**SIZES)), "an encoder"),
    "encoder without a pooler": (
        lambda: transformers.XLMRobertaModel(transformers.XLMRobertaConfig(**SIZES)),
        "an encoder",
    ),
    "masked": (lambda: transformers.RobertaForMaskedLM(transformers.RobertaConfig(**SIZES)), "a masked language model"),
    "classifier": (
        lambda: transformers.BertForSequenceClassification(transformers.BertConfig(**SIZES)),
        "a sequence classifier",
    ),
    "classifier over a decoder": (lambda: transformers.LlamaForSequenceClassification(tied()), "a sequence classifier"),
    "tagger": (lambda: transformers.LlamaForTokenClassification(tied()), "a token classifier"),
    "decoder without head": (
        lambda: transformers.LlamaModel(transformers.LlamaConfig(**SIZES)),
        r"\(LlamaModel\) lacks a language-model head",
    ),
    "encoder-decoder": (
        lambda: transformers.BartForConditionalGeneration(
            transformers.BartConfig(**BART, vocab_size=60, encoder_attention_heads=2, decoder_attention_heads=2)
        ),
        r"an encoder-decoder model \(bart\)",
    ),
    "vision": (llava, "a vision-language or speech model"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_language_model_is_refused_by_what_it_is(name, tmp_path):
    make, what = OTHERS[name]
    folder = save(make(), tmp_path)
    with pytest.raises(InputError, match=what) as error:
        load(folder)
    assert "no causal language model, which says the next word" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_masked_model_that_does_not_name_itself_is_refused(tmp_path):
    network = transformers.BertForMaskedLM(transformers.BertConfig(**SIZES))
    folder = save(network, tmp_path)
    config = transformers.BertConfig.from_pretrained(folder)
    config.architectures = None
    config.save_pretrained(folder)
    with pytest.raises(InputError, match=r"an encoder that reads words to come \(bert\)"):
        load(folder)


LANGUAGE_MODELS = {
    "head of its own": lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZES)),
    "tied": lambda: transformers.LlamaForCausalLM(tied()),
    "tied and saved without its head": lambda: transformers.LlamaModel(tied()),
    "bert as a decoder": lambda: transformers.BertLMHeadModel(transformers.BertConfig(**SIZES, is_decoder=True)),
}


@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_language_models_are_read(name, tmp_path):
    saved = LANGUAGE_MODELS[name]()
    network = load(save(saved, tmp_path))
    torch.testing.assert_close(
        network.get_input_embeddings().weight, saved.get_input_embeddings().weight, atol=0, rtol=0
    )


def test_weights_that_are_missing_are_refused(tmp_path):
    folder = save(transformers.LlamaForCausalLM(tied()), tmp_path)
    config = transformers.LlamaConfig.from_pretrained(folder)
    config.num_hidden_layers = 2
    config.save_pretrained(folder)
    with pytest.raises(InputError, match=r"9 of its weights are missing, such as model\.layers\.1\."):
        load(folder)


def test_the_policy_to_align_is_a_language_model(tmp_path):
    folder = save(transformers.LlamaForSequenceClassification(tied()), tmp_path)
    with pytest.raises(InputError, match="is a classifier: give it as --reward"):
        PolicySource.of(folder, "full", "cpu").network()


def test_adapters_alone_are_refused_by_name(tmp_path):
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "someone/base"}')
    (tmp_path / "adapter_model.safetensors").touch()
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"has peft adapters alone, for someone/base: merge them"):
        models.locate(tmp_path)
    (tmp_path / "model.safetensors").touch()
    assert models.locate(tmp_path) == str(tmp_path)
