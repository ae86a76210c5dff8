"""Watches a training: shows progress, and stops where there is nothing to learn or a number is none."""

import math
from typing import Any

from transformers import TrainerCallback

from silr.align.trl_trainers import KL, NO_SPREAD, REWARD
from silr.errors import InputError
from silr.io.files import Json
from silr.io.progress import Advance

PATIENCE = 10  # steps in a row without any difference in reward


class Watch(TrainerCallback):  # type: ignore[misc]
    """Progress of a training, by the log of each step."""

    def __init__(self, advance: Advance, completions: int) -> None:
        self._advance, self._completions = advance, completions
        self._without, self._learned = 0, False
        self.stopped: str | None = None  # why training ended before its last step

    def on_log(self, args: Any, state: Any, control: Any, logs: Json | None = None, **_: Any) -> None:
        """Look at the log of a step, before a checkpoint of it is made."""
        logs = logs or {}
        if "loss" not in logs:
            return
        for name in ("loss", "grad_norm", KL):
            value = logs.get(name)
            if value is not None and not math.isfinite(float(value)):
                raise InputError(
                    f"{name} is not a number at step {state.global_step}; the last checkpoint before it is kept. Take "
                    "a lower --learning-rate"
                )
        if NO_SPREAD in logs:
            self._without = self._without + 1 if float(logs[NO_SPREAD]) >= 1 else 0
            self._learned |= self._without == 0
            if self._without >= PATIENCE:
                alike = f"for {PATIENCE} steps all completions of a prompt had the same reward ({logs[REWARD]:.4g})"
                if not self._learned:
                    raise InputError(f"{alike}: there is nothing to learn")
                self.stopped = f"stopped at step {state.global_step}: {alike}, so nothing was left to learn"
                control.should_training_stop = True
        means = [f"{name} {float(logs[name]):.3f}" for name in (REWARD, "judge", KL) if logs.get(name) is not None]
        state_now = f"step {state.global_step} of {state.max_steps}"
        self._advance(1, self._completions, state_now, ", ".join(means) or f"loss {float(logs['loss']):.3f}")
