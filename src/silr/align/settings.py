"""Settings of a sampling and of an alignment, checked before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from silr.errors import InputError

CHOICES = {"method": ("grpo", "dpo", "best-of-n"), "tuning": ("lora", "qlora", "full")}
KL = {"grpo": 0.05, "dpo": 0.1}
# Of one pass over a few hundred prompts. Adapters bear ten times the rate of all weights and more.
LEARNING_RATE = {("grpo", False): 1e-4, ("dpo", False): 5e-5, ("grpo", True): 2e-6, ("dpo", True): 1e-6}


@dataclass(frozen=True, kw_only=True)
class SampleSettings:
    """Settings of a sampling.

    Attributes
    ----------
    policy : str or Path
        Model folder, `.gguf` file or hub name.
    prompts : str or Path
        Table of prompts.
    generations : int, default 4
        Completions a prompt.
    max_new_tokens : int, default 64
        Longest completion.
    chat : bool or None, default None
        Put prompts into the policy's chat template. None: if it has one.
    text_format : str or None, default None
        What the reward reads, with ``{completion}`` and perhaps ``{prompt}``. None: see `silr.align.text_format`.
    device : str or None, default None
        None: the GPU if there is one, else the processor.
    """

    policy: str | Path
    prompts: str | Path
    generations: int = 4
    max_new_tokens: int = 64
    temperature: float = 1.0
    chat: bool | None = None
    text_format: str | None = None
    prompt_column: str = "prompt"
    trust_remote_code: bool = False
    seed: int = 0
    device: str | None = None

    def check_sampling(self) -> None:
        """Raise InputError if nothing can be sampled at this temperature, or a text lacks the completion."""
        if not 0 < self.temperature <= 10:
            raise InputError(f"--temperature {self.temperature}: it must lie above 0 and not above 10")
        if self.text_format is not None and "{completion}" not in self.text_format:
            raise InputError("--reward-text must contain {completion}, and {prompt} if the prompt is to be read too")


@dataclass(frozen=True, kw_only=True)
class AlignSettings(SampleSettings):
    """Settings of an alignment, with those of `SampleSettings`; None takes the default that is named.

    Attributes
    ----------
    reward : str or Path
        Run directory, or a folder that `silr export` wrote.
    wanted : str or None, default None
        The class that is wanted. None: the one of a reward model that has one score.
    judge : str or Path or None, default None
        Another run or folder, which scores and never trains.
    method : {"grpo", "dpo", "best-of-n"}, default "grpo"
    tuning : {"lora", "qlora", "full"}, default "lora"
    kl : float or None, default None
        Coefficient (beta) of the KL divergence from the starting policy. None: 0.05 (grpo), 0.1 (dpo).
    steps : int or None, default None
        Updates. None: one pass over the prompts.
    learning_rate : float or None, default None
        None: 1e-4 (grpo) or 5e-5 (dpo) for adapters, 2e-6 or 1e-6 for all weights.
    batch_size : int, default 32
        Completions (grpo) or pairs (dpo) an update, of all processes together.
    generations : int, default 8
        Completions a prompt: the group of grpo, the candidates of dpo and of best-of-n.
    save_steps : int, default 10
        Updates between checkpoints.
    tracker : str, default "tensorboard"
        Name of a tracker that transformers knows, or "none".
    vllm : bool, default False
        Generate with vLLM (grpo).
    """

    reward: str | Path
    wanted: str | None = None
    judge: str | Path | None = None
    method: str = "grpo"
    tuning: str = "lora"
    kl: float | None = None
    steps: int | None = None
    learning_rate: float | None = None
    batch_size: int = 32
    generations: int = 8
    save_steps: int = 10
    tracker: str = "tensorboard"
    vllm: bool = False

    def checked(self, processes: int = 1) -> AlignSettings:
        """With all defaults filled in that need no file; InputError for values that do not go together."""
        for name, values in CHOICES.items():
            if (value := getattr(self, name)) not in values:
                raise InputError(f"--{name} {value}: it must be one of {', '.join(values)}")
        if self.generations < 2:
            raise InputError(f"--generations {self.generations}: it takes two completions of a prompt to compare them")
        self.check_sampling()
        if self.vllm and self.method != "grpo":
            raise InputError(f"--vllm is for --method grpo: TRL generates nothing for {self.method}")
        if self.vllm and find_spec("vllm") is None:
            raise InputError("--vllm needs vLLM, which needs a GPU: pip install 'trl[vllm]', or leave it out")
        if self.method == "grpo" and (self.batch_size % self.generations or self.batch_size % processes):
            several = f" and by the {processes} processes" if processes > 1 else ""
            raise InputError(
                f"--batch-size {self.batch_size} counts completions; it must be divisible by the {self.generations} "
                f"completions of a prompt (--generations){several}"
            )
        if self.method == "dpo" and self.batch_size % processes:
            raise InputError(f"--batch-size {self.batch_size} must be divisible by the {processes} processes")
        kl = KL.get(self.method, 0.0) if self.kl is None else self.kl
        if not 0 <= kl < float("inf") or (self.method == "dpo" and kl == 0):
            raise InputError(f"--kl {kl}: it must be {'above 0' if self.method == 'dpo' else '0 or more'}")
        rate = self.learning_rate
        if rate is None:
            rate = LEARNING_RATE.get((self.method, self.tuning == "full"), 0.0)
        elif not 0 < rate < float("inf"):
            raise InputError(f"--learning-rate {rate}: it must be above 0")
        return replace(self, kl=kl, learning_rate=rate)
