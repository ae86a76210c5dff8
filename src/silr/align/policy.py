"""The policy: loaded for training or reading, with its starting point beside it, and written as a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from silr.classifiers.finetuned.backbone import four_bits
from silr.errors import InputError
from silr.export.frozen import PIPELINE
from silr.hf.devices import best_dtype, own_device
from silr.hf.model_kinds import check_kind
from silr.hf.models import causal_network, explain_load_errors, folder_of, locate, silence_transformers
from silr.io.files import atomic_folder
from silr.refine.run import MANIFEST

if TYPE_CHECKING:
    from peft import LoraConfig
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

Network: TypeAlias = Any  # a model of transformers or peft, whose types do not say what it does
RANK, ALPHA = 16, 32  # of the adapters


@dataclass(frozen=True)
class PolicySource:
    """A model, as `silr.hf.models.locate` returns it, and its tuning: "lora", "qlora" or "full"."""

    model: str
    tuning: str
    device: str
    trust_remote_code: bool = False

    @classmethod
    def of(cls, model: str | Path, tuning: str, device: str | None, trust_remote_code: bool = False) -> PolicySource:
        """Find the model, and the device of this process; InputError if it writes no text, such as a classifier."""
        check_writes_text(model)
        return cls(locate(model), tuning, own_device(device), trust_remote_code)

    @property
    def half(self) -> str:
        """The number format to multiply in."""
        return best_dtype(self.device)

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Load the tokenizer, which pads on the left, with its end token if it has no other."""
        from transformers import AutoTokenizer

        with explain_load_errors(self.model), silence_transformers():
            folder = folder_of(self.model, self.half)
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                folder, trust_remote_code=self.trust_remote_code
            )
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        if tokenizer.pad_token_id is None:
            raise InputError(f"the tokenizer of {self.model} has neither a padding token nor an end token")
        tokenizer.padding_side = "left"
        return tokenizer

    def network(self, dtype: str | None = None) -> Network:
        """Load the starting policy.

        No `dtype`: float32 if all weights are to be tuned (in half precision small updates would be lost), else the
        fastest one. Raises InputError if it cannot be read, is no causal language model, does not fit into memory, or a
        package is missing.
        """
        import torch

        dtype = dtype or ("float32" if self.tuning == "full" else self.half)
        options = {"dtype": getattr(torch, dtype), "trust_remote_code": self.trust_remote_code}
        if self.tuning == "qlora":
            options["quantization_config"] = four_bits(options["dtype"], "--tuning qlora")
        if self.device.startswith("cuda"):
            # rows of padding on the left made cuDNN's attention give gradients that are no numbers (H100, torch 2.11)
            torch.backends.cuda.enable_cudnn_sdp(False)
        with explain_load_errors(self.model), silence_transformers():
            folder = folder_of(self.model, self.half)
            network = causal_network(self.model, folder, device_map={"": self.device}, **options)
        network.get_output_embeddings().register_forward_pre_hook(_in_one_piece)
        return network

    def adapter(self) -> LoraConfig | None:
        """Return the adapters' configuration for peft, None if all weights are tuned."""
        if self.tuning == "full":
            return None
        from peft import LoraConfig

        return LoraConfig(task_type="CAUSAL_LM", r=RANK, lora_alpha=ALPHA, target_modules="all-linear")


def check_writes_text(model: str | Path) -> None:
    """Refuse, as a policy, a run or a model that is no causal language model: its head would be made up."""
    from transformers import AutoConfig

    folder = Path(model).expanduser()
    for name, kind in ((MANIFEST, "a run of `silr refine`"), (PIPELINE, "a classifier of `silr export`")):
        if (folder / name).is_file():
            raise InputError(f"--policy {model} is {kind}: give it as --reward, and a language model as --policy")
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError):
        return  # a name on the hub, a .gguf file, or a folder that does not say: loading it tells
    if any(kind.endswith("ForSequenceClassification") for kind in config.architectures or []):
        raise InputError(f"--policy {model} is a classifier: give it as --reward, and a language model as --policy")
    check_kind(str(model), config)


class Start:
    """Starting policy, loaded once for all that only reads it, until a training takes it and changes it."""

    def __init__(self, source: PolicySource) -> None:
        self._source = source

    @cached_property
    def network(self) -> Network:
        """The policy, for reading."""
        return self._source.network()

    def give(self) -> Network:
        """Return the policy and forget it."""
        return vars(self).pop("network", None) or self._source.network()


def read_policy(folder: Path, source: PolicySource) -> Network:
    """Load what `write_policy` wrote, with its adapters still apart if it has any."""
    if source.tuning == "full":
        return PolicySource(str(folder), "full", source.device, source.trust_remote_code).network().eval()
    from peft import PeftModel

    return PeftModel.from_pretrained(source.network(), folder / "adapter").eval()


def _in_one_piece(_: Network, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Of the last states of long prompts torch would make one product a prompt, each with a copy of the weights."""
    return (inputs[0].contiguous(), *inputs[1:])


@contextmanager
def starting_point(network: Network, source: PolicySource) -> Iterator[Network]:
    """Give the policy as it was before training: without its adapters, or loaded anew."""
    if hasattr(network, "disable_adapter"):
        with network.disable_adapter():
            yield network
    else:
        yield source.network().eval()


def context_of(network: Network) -> int | None:
    """The most tokens that a model reads, None if it does not say."""
    limit: int | None = getattr(network.config.get_text_config(), "max_position_embeddings", None)
    return limit


def write_policy(trained: Any, tokenizer: Any, source: PolicySource, folder: Path) -> None:
    """Write the trained policy as a Hugging Face folder: all of it, or nothing.

    Adapters are merged into the weights, in float32: in half precision most of what they add would be rounded off.

    Adapters are also written apart, into ``adapter`` inside the folder.
    """
    with atomic_folder(folder) as draft, silence_transformers():
        network = trained
        if source.tuning != "full":
            from peft import PeftModel

            trained.save_pretrained(draft / "adapter")
            (draft / "adapter" / "README.md").unlink(missing_ok=True)
            plain = PolicySource(source.model, "lora", "cpu", source.trust_remote_code)
            merged: Network = PeftModel.from_pretrained(plain.network("float32"), draft / "adapter")
            network = merged.merge_and_unload()
        network.float().save_pretrained(draft)
        tokenizer.save_pretrained(draft)


def check_numbers(error: RuntimeError) -> None:
    """Raise InputError if sampling failed because the policy gives no probabilities."""
    if "probability tensor" in str(error):
        raise InputError(
            "the policy gives no probabilities any more (NaN or infinity in its weights); checkpoints are kept. Take a "
            "lower --learning-rate, or another policy if it has only just begun"
        ) from error
