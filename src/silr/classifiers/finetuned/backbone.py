"""The network under a fine-tuned classifier: a pretrained model with a new head, and a fresh adapter for each fit."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from silr.classifiers.finetuned.network import Network, layers_of
from silr.errors import InputError
from silr.extras import needs
from silr.hf.devices import best_dtype, own_device
from silr.hf.fingerprint import check, fingerprint
from silr.hf.models import explain_load_errors, folder_of, load_tokenizer, locate, silence_transformers

if TYPE_CHECKING:
    from transformers import BitsAndBytesConfig

    from silr.classifiers.finetuned.lower_layers import LowerLayers
    from silr.classifiers.finetuned.probe import ProbeStates
    from silr.hf.tokens import Tokens

Tuning = Literal["lora", "qlora", "full"]


@dataclass(frozen=True)
class FinetunedConfig:
    """Settings of a fine-tuned classifier; the defaults are those of Asano et al. (2025)."""

    tuning: Tuning  # adapters on the model, on the model in 4 bits (NF4, double quantisation), or all weights
    model: str  # model folder, `.gguf` file or hub name
    epochs: int = 3
    batch_size: int = 16  # texts a step, of all processes together
    learning_rate: float | None = 1e-4  # AdamW's; 3 % warm-up, then a cosine to 0. None: see `Backbone.learning_rate`.
    max_length: int | None = None  # longest text in tokens, see `silr.hf.tokens.TokenFeatures`
    # adapt the last so many layers only. What the layers below make of each text is computed once. None: all layers.
    tune_top: int | None = None
    rank: int = 8  # of the adapters
    alpha: int = 32
    dropout: float = 0.05
    # start the head from the classifier on the states of the model before it is tuned, see
    # `silr.classifiers.finetuned.probe`. False: from 0.
    linear_probe: bool = False
    # after the fit, shift the scores so that each class is predicted as often as the class prior says
    match_prior: bool = False
    # time between checkpoints inside a fit, if a folder is given for them; more where a checkpoint takes so long that
    # it would be over 5 % of the time. 0: every fourth step.
    checkpoint_seconds: float = 30.0


class Backbone:
    """A pretrained model, loaded once for all iterations.

    `n_classes`: two classes share one score, an affine map of the final hidden state of the last token (an encoder: its
    own pooling); more classes have one score each. No `device`: the GPU if there is one, else the processor. `weights`:
    the fingerprint that the model must have, see `silr.hf.fingerprint`. None: whatever it has. Raises InputError if the
    model cannot be read, does not fit into memory, or a package is missing.
    """

    def __init__(
        self, config: FinetunedConfig, n_classes: int, device: str | None = None, weights: str | None = None
    ) -> None:
        self.config, self._n_outputs = config, 1 if n_classes == 2 else n_classes
        self.device = own_device(device)
        self._model = locate(config.model)
        check(self._model, weights)
        self.weights = weights or fingerprint(self._model)
        # of frozen weights, and of their products; trained weights are float32
        self.dtype = "float32" if config.tuning == "full" else best_dtype(self.device)
        self.tokenizer = load_tokenizer(self._model)
        self.network: Network = None  # made fresh last
        self.holder: object = None  # the classifier whose fit the network holds
        self.lower: tuple[Tokens, LowerLayers] | None = None  # states of a corpus, if only upper layers are tuned
        self.probed: ProbeStates | None = None  # what the head reads of a corpus before anything is tuned

    @property
    def autocast(self) -> str | None:
        """The number format to multiply in while weights of two formats meet, None if all are float32."""
        if self.config.tuning == "full":
            half = best_dtype(self.device)
            return None if half == "float32" else half
        return None if self.dtype == "float32" else self.dtype

    def autocasting(self) -> torch.autocast:
        """Inside this context, weights and states of two formats meet in the one to multiply in."""
        half = self.autocast
        return torch.autocast(torch.device(self.device).type, getattr(torch, half or "bfloat16"), enabled=bool(half))

    @property
    def learning_rate(self) -> float:
        """The configuration's, or by the network's width w: 5e-4 (2000 / w) ** 0.78 for adapters, 2e-5 for all weights.

        References
        ----------
        The power of the width: Schulman and others, "LoRA Without Regret", Thinking Machines Lab, 2025.
        """
        if self.config.learning_rate is not None:
            return self.config.learning_rate
        width: int = self.network.config.get_text_config().hidden_size
        return 2e-5 if self.config.tuning == "full" else 5e-4 * (2000 / width) ** 0.78

    def fresh(self, seed: int) -> Network:
        """Return the network with a new head and new adapters, all that an earlier fit learned gone."""
        import peft
        from transformers import set_seed

        full = self.config.tuning == "full"
        plain = None if self.network is None or full else self.network.unload()
        self.network = None
        if plain is None:
            plain = self._load()
        set_seed(seed)
        _renew(head_of(plain), plain.config)
        if self.config.tuning == "qlora":
            prepare: Any = peft.prepare_model_for_kbit_training
            plain = prepare(plain, use_gradient_checkpointing=False)
        if full and self.config.tune_top:
            _freeze_all_but_top(plain, self.config.tune_top)
        self.network = plain if full else self._with_adapters(plain)
        return self.network

    def merged(self, state: dict[str, Tensor]) -> Network:
        """A plain network with the `trained_state` of a fit worked into its weights; in float32 on a processor."""
        if self.config.tuning != "full":
            return self.adapted(state).merge_and_unload().eval()
        network = self._load()
        if self.config.tune_top:
            _freeze_all_but_top(network, self.config.tune_top)
        load_state(network, state)
        return network.eval()

    def adapted(self, state: dict[str, Tensor]) -> Network:
        """The network with its trained adapters still apart; in float32 on a processor."""
        network = self._load()
        if self.config.tuning == "qlora":
            network = network.dequantize()
        if self.device == "cpu":
            network = network.float()  # exact, and what `transformers.pipeline` computes with too
        network = self._with_adapters(network)
        load_state(network, state)
        return network

    def _load(self) -> Network:
        from transformers import AutoModelForSequenceClassification

        auto: Any = AutoModelForSequenceClassification
        dtype = getattr(torch, self.dtype)
        options: dict[str, object] = {"dtype": dtype, "num_labels": self._n_outputs}
        if self.config.tuning == "qlora":
            options["quantization_config"] = four_bits(dtype)
        with explain_load_errors(self._model), silence_transformers(), torch.random.fork_rng():
            torch.manual_seed(0)  # layers that the folder has no weights for are the same whenever it is read
            network = auto.from_pretrained(
                folder_of(self._model, best_dtype(self.device)), device_map={"": self.device}, **options
            )
        check(self._model, self.weights)  # of the hub, what was fetched just now
        network.config.get_text_config().pad_token_id = self.tokenizer.pad_token_id
        network.config.use_cache = False
        head_of(network).float()
        output_layer(network).__class__ = _FullPrecisionLinear
        return network

    def _with_adapters(self, network: Network) -> Network:
        from peft import LoraConfig, get_peft_model
        from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as KNOWN

        options: dict[str, Any] = {}
        if self.config.tune_top:
            layers = layers_of(network)
            first = _first_tuned(len(layers), self.config.tune_top)
            options["layers_to_transform"] = list(range(first, len(layers)))
        if network.config.model_type not in KNOWN:
            options["target_modules"] = _linear_names(network) if self.config.tune_top else "all-linear"
        settings = LoraConfig(
            task_type="SEQ_CLS",
            r=self.config.rank,
            lora_alpha=self.config.alpha,
            lora_dropout=self.config.dropout,
            **options,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft's use of transformers
            return get_peft_model(network, settings)


class _FullPrecisionLinear(nn.Linear):
    """Multiplies in float32 whatever is around it: in half precision many texts would have the same score."""

    def forward(self, states: Tensor) -> Tensor:
        """As of `Linear`."""
        with torch.autocast(states.device.type, enabled=False):
            return super().forward(states.to(self.weight))


def trained_state(network: Network) -> dict[str, Tensor]:
    """Return a copy of the weights that a fit trains, in main memory."""
    return {
        name: weight.detach().to("cpu", copy=True).contiguous()
        for name, weight in network.named_parameters()
        if weight.requires_grad
    }


def load_state(network: Network, state: dict[str, Tensor]) -> None:
    """Put the weights of `trained_state` into a fresh network; InputError if names or shapes differ."""
    wanted = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
    if {name: weight.shape for name, weight in wanted.items()} != {name: each.shape for name, each in state.items()}:
        raise InputError("the trained weights belong to another model than the one at this path now")
    with torch.no_grad():
        for name, weight in wanted.items():
            weight.copy_(state[name])


def head_of(network: Network) -> nn.Module:
    """Return the layer that turns hidden states into scores."""
    for name in ("score", "classifier"):
        if isinstance(head := getattr(network, name, None), nn.Module):
            return head
    raise InputError(f"silr does not know the head of {type(network).__name__}; take another model")


def output_layer(network: Network) -> nn.Linear:
    """Return the last layer of the head: of several copies, the one that is trained."""
    return [part for part in head_of(network).modules() if isinstance(part, nn.Linear)][-1]


def _linear_names(network: Network) -> list[str]:
    """What peft takes in the place of "all-linear" where it is told which layers to adapt."""
    parts = layers_of(network)[0].named_modules()
    return sorted({name.rpartition(".")[2] for name, part in parts if isinstance(part, nn.Linear)})


def _first_tuned(n_layers: int, tune_top: int) -> int:
    if not 0 < tune_top < n_layers:
        raise InputError(f"--tune-top {tune_top}: the model has {n_layers} layers; give fewer, at least 1, or leave it")
    return n_layers - tune_top


def _freeze_all_but_top(network: Network, tune_top: int) -> None:
    layers = layers_of(network)
    first = _first_tuned(len(layers), tune_top)
    network.requires_grad_(False)
    for part in (*layers[first:], head_of(network)):
        part.requires_grad_(True)


def _renew(head: nn.Module, config: object) -> None:
    """Start anew; the last layer from 0, so that no class is ahead."""
    linear = [part for part in head.modules() if isinstance(part, nn.Linear)]
    for part in linear:
        nn.init.normal_(part.weight, std=getattr(config, "initializer_range", 0.02))
        if part.bias is not None:
            nn.init.zeros_(part.bias)
    nn.init.zeros_(linear[-1].weight)


def four_bits(compute: torch.dtype, option: str = "--classifier qlora") -> BitsAndBytesConfig:
    """Settings of weights in 4 bits (NF4, double quantisation); heads stay. InputError without bitsandbytes."""
    with needs("qlora", option, "or take lora"):
        import bitsandbytes  # noqa: F401
    import transformers

    settings: type[BitsAndBytesConfig] = transformers.BitsAndBytesConfig
    return settings(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute,
        llm_int8_skip_modules=["score", "classifier", "lm_head"],
    )
