"""The policy: loaded for training or reading, with its starting point beside it, and written as a folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from silr.annotators.model_kinds import check_kind
from silr.annotators.models import (
    best_dtype,
    causal_network,
    explain_load_errors,
    folder_of,
    locate,
    own_device,
    silence_transformers,
)
from silr.classifiers.backbone import four_bits
from silr.errors import InputError
from silr.export.frozen import PIPELINE
from silr.files import sync
from silr.run import MANIFEST

RANK, ALPHA = 16, 32  # of the adapters


@dataclass(frozen=True)
class PolicySource:
    """Which model, and how it is to be tuned.

    Attributes
    ----------
    model : str
        What `silr.annotators.models.locate` returned.
    tuning : {"lora", "qlora", "full"}
    device : str
    trust_remote_code : bool
    """

    model: str
    tuning: str
    device: str
    trust_remote_code: bool = False

    @classmethod
    def of(cls, model: str | Path, tuning: str, device: str | None, trust_remote_code: bool = False) -> PolicySource:
        """Find the model, and the device of this process.

        Raises
        ------
        InputError
            There is none, or it is one that writes no text, such as a classifier.
        """
        check_writes_text(model)
        return cls(locate(model), tuning, own_device(device), trust_remote_code)

    @property
    def half(self) -> str:
        """The number format to multiply in."""
        return best_dtype(self.device)

    def tokenizer(self) -> Any:
        """Load the tokenizer; it pads on the left, with its end token if it has no other.

        Raises
        ------
        InputError
            It cannot be read, or has neither of the two tokens.
        """
        from transformers import AutoTokenizer

        with explain_load_errors(self.model), silence_transformers():
            folder = folder_of(self.model, self.half)
            tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=self.trust_remote_code)
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        if tokenizer.pad_token_id is None:
            raise InputError(f"the tokenizer of {self.model} has neither a padding token nor an end token")
        tokenizer.padding_side = "left"
        return tokenizer

    def network(self, dtype: str | None = None) -> Any:
        """Load the starting policy.

        Parameters
        ----------
        dtype : str or None, default None
            None: float32 if all weights are to be tuned (in half precision small updates would be lost), else the
            fastest one.

        Raises
        ------
        InputError
            It cannot be read, is no causal language model, does not fit into memory, or a package is missing.
        """
        import torch

        dtype = dtype or ("float32" if self.tuning == "full" else self.half)
        options: dict[str, Any] = {"dtype": getattr(torch, dtype), "trust_remote_code": self.trust_remote_code}
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

    def adapter(self) -> Any:
        """Return the adapters' configuration for peft, None if all weights are tuned."""
        if self.tuning == "full":
            return None
        from peft import LoraConfig

        return LoraConfig(task_type="CAUSAL_LM", r=RANK, lora_alpha=ALPHA, target_modules="all-linear")


def check_writes_text(model: str | Path) -> None:
    """Refuse, as a policy, a run or a model that is no causal language model: its head would be made up.

    Raises
    ------
    InputError
        It is a run, an exported classifier, or a model of another kind.
    """
    from transformers import AutoConfig

    folder = Path(model).expanduser()
    for name, what in ((MANIFEST, "a run of `silr refine`"), (PIPELINE, "a classifier of `silr export`")):
        if (folder / name).is_file():
            raise InputError(f"--policy {model} is {what}: give it as --reward, and a language model as --policy")
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError):
        return  # a name on the hub, a .gguf file, or a folder that does not say: loading it tells
    if any(kind.endswith("ForSequenceClassification") for kind in config.architectures or []):
        raise InputError(f"--policy {model} is a classifier: give it as --reward, and a language model as --policy")
    check_kind(str(model), config)


class Start:
    """The starting policy, loaded once for all that only reads it, until a training takes it and changes it."""

    def __init__(self, source: PolicySource) -> None:
        self._source = source
        self._network: Any = None

    def network(self) -> Any:
        """Return it for reading."""
        if self._network is None:
            self._network = self._source.network()
        return self._network

    def give(self) -> Any:
        """Return it and forget it."""
        network, self._network = self.network(), None
        return network


def read_policy(folder: Path, source: PolicySource) -> Any:
    """Load what `write_policy` wrote, with its adapters still apart if it has any."""
    if source.tuning == "full":
        return PolicySource(str(folder), "full", source.device, source.trust_remote_code).network().eval()
    from peft import PeftModel

    return PeftModel.from_pretrained(source.network(), folder / "adapter").eval()


def _in_one_piece(_: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Of the last states of long prompts torch would make one product a prompt, each with a copy of the weights."""
    return (inputs[0].contiguous(), *inputs[1:])


@contextmanager
def starting_point(network: Any, source: PolicySource) -> Iterator[Any]:
    """Give the policy as it was before training: without its adapters, or loaded anew."""
    if hasattr(network, "disable_adapter"):
        with network.disable_adapter():
            yield network
    else:
        yield source.network().eval()


def context_of(network: Any) -> int | None:
    """Return the most tokens that a model reads, None if it does not say."""
    limit: int | None = getattr(network.config.get_text_config(), "max_position_embeddings", None)
    return limit


def write_policy(trained: Any, tokenizer: Any, source: PolicySource, folder: Path, draft: Path) -> None:
    """Write the trained policy as a Hugging Face folder: all of it, or nothing.

    Adapters are merged into the weights, in float32: in half precision most of what they add would be rounded off.

    Parameters
    ----------
    trained : network
        As it was trained; with adapters, they are also written apart, into ``adapter`` inside the folder.
    tokenizer : transformers tokenizer
    source : PolicySource
    folder : Path
    draft : Path
        Where it is written before it is whole; a leftover is deleted.
    """
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    with silence_transformers():
        network = trained
        if source.tuning != "full":
            from peft import PeftModel

            trained.save_pretrained(draft / "adapter")
            (draft / "adapter" / "README.md").unlink(missing_ok=True)
            plain = PolicySource(source.model, "lora", "cpu", source.trust_remote_code)
            merged: Any = PeftModel.from_pretrained(plain.network("float32"), draft / "adapter")
            network = merged.merge_and_unload()
        network.float().save_pretrained(draft)
        tokenizer.save_pretrained(draft)
    for path in draft.rglob("*"):
        sync(path)
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)
    sync(folder.parent)


def check_numbers(error: RuntimeError) -> None:
    """Raise InputError if sampling failed because the policy gives no probabilities."""
    if "probability tensor" in str(error):
        raise InputError(
            "the policy gives no probabilities any more (NaN or infinity in its weights); checkpoints are kept. Take a "
            "lower --learning-rate, or another policy if it has only just begun"
        ) from error
