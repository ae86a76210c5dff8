"""What a reward reads of a prompt and a completion: the format of the texts that it was trained on."""

from pathlib import Path

from silr.errors import InputError
from silr.io.corpus import open_table
from silr.refine.labels import labels_path

JOINED, CHAT, ANSWER = "{prompt}{completion}", "{prompt}\n\n{completion}", "{completion}"
_LOOK_AT = 50  # rows of the run's table


def render(text_format: str, prompt: str, completion: str) -> str:
    """Return a text with prompt and completion in their places; other braces stand for themselves."""
    return completion.join(part.replace("{prompt}", prompt) for part in text_format.split("{completion}"))


def default_format(chat: bool) -> str:
    """Return how `silr sample` writes: an answer apart from its prompt, a continuation joined to it."""
    return CHAT if chat else JOINED


def format_of(reward: Path, chat: bool) -> tuple[str, str]:
    """Return the format of a reward's training texts, and where it is known from.

    A run on the table of `silr sample` has prompts and completions beside its texts. Any other reward is given what
    `default_format` says.

    Raises InputError if the run's table has prompts and completions, but its texts are made of them in an unknown way.
    """
    table = labels_path(reward)
    if table.exists():
        frame = open_table(table).head(_LOOK_AT)
        if {"prompt", "completion", "text"} <= set(frame.columns):
            rows = list(zip(frame["prompt"], frame["completion"], frame["text"], strict=True))
            for known in (JOINED, CHAT, ANSWER):
                if all(render(known, str(prompt), str(completion)) == text for prompt, completion, text in rows):
                    return known, "as in the reward's own table"
            raise InputError(
                f"the texts of {table} are made of prompt and completion in a way of their own; say it with "
                "--reward-text, such as '{prompt}\\n\\n{completion}'"
            )
    return default_format(chat), "by default"
