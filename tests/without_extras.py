"""Import this first: from then on no heavy package can be found in this process."""

import sys
from collections.abc import Sequence
from types import ModuleType

HEAVY = ("torch", "transformers", "accelerate", "peft", "gguf", "sentencepiece", "tokenizers", "patsy", "statsmodels")


class Missing:
    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:
        if name.partition(".")[0] in HEAVY:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


if __name__ == "without_extras" and "command_line" not in sys.modules:  # in the process that makes the commands
    sys.meta_path.insert(0, Missing)
