"""GGUF files of each family against the same model in Hugging Face form: tokens, and log-probabilities after them."""

import numpy as np
import pytest
import torch
import transformers
from gguf import GGMLQuantizationType as Quantised

from silr.annotators import LocalAnnotator
from silr.errors import InputError
from silr.hf import models
from tests.gguf_models import byte_level, make_network, sentencepiece, write_gguf

pytestmark = pytest.mark.slow

TEXTS = [
    "The parcel came late and the box was broken; I would not buy it again, said she, and we've 1999 more of them.",
    "  two blanks, naïve café 語 😀\n\nI'm happy",
    "",
]
SIZES = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "max_position_embeddings": 256}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2}
INST = "{{ bos_token }}[INST] {{ messages[0]['content'] }} [/INST]"
CHATML = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace("{1,3}", "")
LONG = {
    "rope_type": "longrope",
    "short_factor": [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7],
    "long_factor": [1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 9.0],
}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}


def config(kind, n, **more):
    options = {**SIZES, **HEADS, "vocab_size": n, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, **more}
    return transformers.AutoConfig.for_model(kind, **options)


def llama3_factors(factor, size, base):
    """Frequencies as transformers divides them, over what they were."""
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    scaling = {"rope_type": "llama3", "factor": factor, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    scaling["original_max_position_embeddings"] = 8192
    made = config("llama", 10, head_dim=size, rope_theta=base, rope_scaling=scaling)
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](made, "cpu")
    return scaling, (base ** -(np.arange(0, size, 2) / size) / scaled.numpy()).astype(np.float32)


SCALING, FACTORS = llama3_factors(8.0, 32, 500_000.0)


def spm(prefix=True, template=None, special=()):
    def make():
        tokenizer = sentencepiece(list(special), prefix)
        tokenizer.chat_template = template
        return tokenizer

    return make


def bytes_of(pattern, special, digits=False, template=None):
    def make():
        tokenizer = byte_level(pattern, special, digits)
        tokenizer.chat_template = template
        return tokenizer

    return make


# name: architecture, configuration, metadata, tokenizer, how it is written
FAMILIES = {
    "llama 2": (
        "llama",
        lambda n: config("llama", n),
        {"rope.dimension_count": 16, "vocab_size": 0},
        spm(template=INST),
        {"kind": "llama"},
    ),
    "llama without a blank before the text": (
        "llama",
        lambda n: config("llama", n, tie_word_embeddings=True, attention_bias=True, mlp_bias=True),
        {},
        spm(prefix=False),
        {"kind": "llama", "tokenizer_flags": {"add_space_prefix": False}},
    ),
    "llama 3.1": (
        "llama",
        lambda n: config("llama", n, head_dim=32, rope_theta=500_000.0, rope_scaling=SCALING, attention_bias=False),
        {
            "rope.dimension_count": 32,
            "rope.freq_base": 500_000.0,
            "attention.key_length": 32,
            "attention.value_length": 32,
        },
        bytes_of(LLAMA3, ["<|eot_id|>"]),
        {"pre": "llama-bpe", "extra": {"rope_freqs.weight": FACTORS}, "tokenizer_flags": {"add_bos_token": False}},
    ),
    "smollm 2": (
        "llama",
        lambda n: config("llama", n, tie_word_embeddings=True, rope_theta=100_000.0),
        {"rope.freq_base": 100_000.0},
        bytes_of(None, ["<|im_end|>", "<|im_start|>"], digits=True, template=CHATML),
        {"pre": "smollm"},
    ),
    "mistral": (
        "llama",
        lambda n: config("mistral", n, sliding_window=8, head_dim=16),
        {"attention.sliding_window": 8},
        spm(),
        {"kind": "llama", "name": "mistral"},
    ),
    "qwen 2": (
        "qwen2",
        lambda n: config("qwen2", n, rope_theta=1e6),
        {"rope.freq_base": 1e6},
        bytes_of(QWEN2, ["<|im_end|>", "<|im_start|>"], template=CHATML),
        {"pre": "qwen2"},
    ),
    "qwen 2.5 for long texts": (
        "qwen2",
        lambda n: config("qwen2", n, rope_scaling=YARN),
        {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 64},
        bytes_of(QWEN2, ["<|im_end|>"]),
        {"pre": "qwen2"},
    ),
    "qwen 3": (
        "qwen3",
        lambda n: config("qwen3", n, head_dim=32, rope_theta=1e6, tie_word_embeddings=True),
        {"rope.freq_base": 1e6, "attention.key_length": 32, "attention.value_length": 32},
        bytes_of(QWEN2, ["<|im_end|>"]),
        {"pre": "qwen2"},
    ),
    "gemma 2": (
        "gemma2",
        lambda n: config(
            "gemma2",
            n,
            head_dim=32,
            query_pre_attn_scalar=32,
            sliding_window=8,
            attn_logit_softcapping=2.0,
            final_logit_softcapping=3.0,
        ),
        {
            "attention.key_length": 32,
            "attention.value_length": 32,
            "attention.sliding_window": 8,
            "attn_logit_softcapping": 2.0,
            "final_logit_softcapping": 3.0,
        },
        spm(prefix=False),
        {"kind": "llama", "tokenizer_flags": {"add_space_prefix": False}},
    ),
    "gemma 3": (
        "gemma3",
        lambda n: config(
            "gemma3_text",
            n,
            head_dim=32,
            query_pre_attn_scalar=32,
            sliding_window=8,
            num_hidden_layers=7,
            rope_theta=1e6,
            rope_scaling={"rope_type": "linear", "factor": 8.0},
        ),
        {
            "attention.key_length": 32,
            "attention.value_length": 32,
            "attention.sliding_window": 8,
            "rope.freq_base": 1e6,
            "rope.scaling.type": "linear",
            "rope.scaling.factor": 8.0,
        },
        spm(prefix=False),
        {"kind": "llama", "tokenizer_flags": {"add_space_prefix": False}},
    ),
    "phi 3": (
        "phi3",
        lambda n: config("phi3", n, sliding_window=8, partial_rotary_factor=0.5),
        {"attention.sliding_window": 8, "rope.dimension_count": 8},
        spm(special=["<|user|>", "<|end|>"]),
        {"kind": "llama"},
    ),
    "phi 3 for long texts": (
        "phi3",
        lambda n: config("phi3", n, rope_scaling=LONG, original_max_position_embeddings=32),
        {"rope.dimension_count": 16, "rope.scaling.original_context_length": 32},
        spm(special=["<|user|>"]),
        {
            "kind": "llama",
            "extra": {
                "rope_factors_long.weight": np.array(LONG["long_factor"]),
                "rope_factors_short.weight": np.array(LONG["short_factor"]),
            },
        },
    ),
}


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def write(name, folder, quantised=Quantised.F32, **metadata):
    """Write a family's model in both forms; return its tokenizer, its network and the GGUF file."""
    architecture, make_config, own, make_tokenizer, how = FAMILIES[name]
    tokenizer = make_tokenizer()
    network = make_network(make_config(len(tokenizer)))
    own = {key: value or len(tokenizer) for key, value in own.items()}
    file = write_gguf(
        folder / "tiny.gguf", network, tokenizer, architecture, own | metadata, quantised=quantised, **how
    )
    return tokenizer, network, file


def log_p(network, ids):
    with torch.inference_mode():
        return network(torch.tensor([ids])).logits[0].float().log_softmax(-1)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_gguf_is_the_model_that_its_makers_meant(name, tmp_path, capfd):
    expected_tokenizer, expected, file = write(name, tmp_path)
    tokenizer, network = models.load(str(file), "cpu", "float32")
    assert capfd.readouterr() == ("", "")
    special = sorted({token for token in expected_tokenizer.get_vocab() if token.startswith("<|")})
    texts = [*TEXTS, *(f"a{token}[INST] b {token}\nc" for token in ("</s>", *special))]
    if name.startswith("phi"):  # its special tokens swallow the white space after them
        texts = [text for text in texts if "<" not in text]
    for text in texts:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert ids == expected_tokenizer(text, add_special_tokens=False)["input_ids"]
        assert tokenizer.decode(ids) == expected_tokenizer.decode(ids)
    assert tokenizer.chat_template == expected_tokenizer.chat_template
    assert tokenizer("a")["input_ids"] == expected_tokenizer("a")["input_ids"]
    ids = tokenizer(TEXTS[0])["input_ids"]
    assert len(ids) > 40
    torch.testing.assert_close(log_p(network, ids), log_p(expected, ids), atol=2e-4, rtol=1e-4)
    assert network.config.tie_word_embeddings == expected.config.tie_word_embeddings


@pytest.mark.parametrize(("quantised", "error"), [(Quantised.F16, 5e-3), (Quantised.Q8_0, 0.1)])
def test_quantised_weights_agree_to_their_accuracy(quantised, error, tmp_path):
    tokenizer, expected, file = write("qwen 3", tmp_path, quantised)
    network = models.load(str(file), "cpu", "float32")[1]
    ids = tokenizer(TEXTS[0])["input_ids"]
    assert (log_p(network, ids) - log_p(expected, ids)).abs().mean() < error


@pytest.mark.parametrize("name", ["llama 2", "qwen 2", "gemma 2"])
def test_a_gguf_annotates_as_its_hugging_face_form(name, tmp_path):
    """With the prompt around it, texts that spell special tokens and texts that are too long among them."""
    tokenizer, network, file = write(name, tmp_path)
    network.generation_config.eos_token_id = tokenizer.eos_token_id
    network.save_pretrained(tmp_path / "hf")
    tokenizer.save_pretrained(tmp_path / "hf")
    texts = [*TEXTS, "it </s> works <|im_end|>", "so long " * 200]
    found, expected = (
        LocalAnnotator(model, ["bad", "bad enough", "good"], dtype="float32", device="cpu").annotate(texts)
        for model in (file, tmp_path / "hf")
    )
    np.testing.assert_allclose(found.scores, expected.scores, atol=2e-4)
    assert found.n_cut == expected.n_cut == 1


def test_llama_keeps_the_blank_after_its_opening_token(tmp_path):
    file = write("llama 2", tmp_path)[2]
    tokenizer = models.load(str(file), "cpu", "float32")[0]
    assert tokenizer.convert_ids_to_tokens(tokenizer("<s>[INST]", add_special_tokens=False)["input_ids"])[:2] == [
        "<s>",
        "▁",
    ]


def test_what_silr_does_not_read_is_refused_by_its_family(tmp_path):
    tokenizer, network, _ = write("smollm 2", tmp_path)
    how = {"pre": "smollm"}
    cases = [
        ("granite", {}, how, "of the family granite: silr reads llama, qwen2"),
        ("llama", {"expert_count": 8}, how, r"of the family llama: llama\.expert_count is 8"),
        ("llama", {"rope.scaling.type": "su"}, how, "rope.scaling.type is 'su'"),
        ("llama", {}, {"pre": "chameleon"}, "splits words as 'chameleon'"),
        ("llama", {}, {"kind": "bert"}, "tokenizer is of the kind 'bert'"),
        ("llama", {}, {**how, "extra": {"blk.0.ssm_a.weight": np.ones(3)}}, r"such as blk\.0\.ssm_a\.weight"),
        ("llama", {"block_count": 3}, how, r"it lacks weights, such as model\.layers\.2"),
    ]
    for number, (architecture, metadata, written, message) in enumerate(cases):
        path = tmp_path / f"{number}.gguf"
        write_gguf(path, network, tokenizer, architecture, metadata, **written)
        with pytest.raises(InputError, match=message) as error:
            models.load(str(path), "cpu", "float32")
        assert str(error.value).endswith("give the model in Hugging Face form (a folder or a hub name)")
        assert "\n" not in str(error.value)


def test_half_a_file_is_one_line(tmp_path):
    file = write("smollm 2", tmp_path)[2]
    file.write_bytes(file.read_bytes()[:-9000])
    with pytest.raises(InputError, match=r"it is no whole GGUF file \([^\n]+\); fetch it again, or give [^\n]+$"):
        models.load(str(file), "cpu", "float32")


def test_the_scale_of_gemmas_attention():
    """The 27B models, known by their layers, divide by the hidden size over the heads; a scale in the file wins."""
    from silr.hf.gguf_config import GgufFile, config_of

    shapes = {"token_embd.weight": (10, 64), "blk.0.attn_q.weight": (4 * 32, 64)}
    usual = {
        "context_length": 64,
        "embedding_length": 64,
        "feed_forward_length": 8,
        "attention.head_count": 4,
        "attention.layer_norm_rms_epsilon": 1e-6,
    }

    def scalar(family, **own):
        said = {f"{family}.{key.replace('__', '.')}": value for key, value in (usual | own).items()}
        config = config_of(GgufFile(None, {"general.architecture": family, **said}, shapes, {}))
        return config.query_pre_attn_scalar

    assert scalar("gemma2", block_count=2) == scalar("gemma3", block_count=2) == 32
    assert scalar("gemma2", block_count=46) == scalar("gemma3", block_count=62) == 16
    assert scalar("gemma2", block_count=2, attention__scale=0.5) == 4
