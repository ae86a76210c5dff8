"""A model's chat template: a program that came with the model, with switches of its own and things that it refuses."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from silr.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Thinking = bool | Literal["as it is"] | None
"""Whether the model may think before its answer; None: not, where the template lets it; "as it is": nothing is said."""

Message = dict[str, Any]

SWITCHES = ("enable_thinking", "thinking")
SYSTEM = "You are a helpful assistant."  # where a template wants a system message
_OPEN_THOUGHT = re.compile(r"<(think|thinking|thought)>\s*\Z")
_PROBE = [{"role": "user", "content": "A text."}]


class ChatTemplate:
    """Renders conversations that begin with the user, up to where the model's answer begins.

    An answer is scored at once where it begins, so thinking is off by default: by the template's switch
    (`enable_thinking`), which usually puts an empty thought there. A thought that a template opens anyway is closed.

    A template that raises is tried again with a system message before the conversation, with contents as lists of
    parts, and with the whole conversation as one message of the user.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        With a chat template, or without one: then messages stand below each other.
    thinking : {None, True, False, "as it is"}, default None

    Attributes
    ----------
    thinking : bool or None
        What the template was told, None if nothing: what an annotation's record keeps.

    Raises
    ------
    InputError
        `thinking` is True or False, and the template neither has a switch for it nor opens a thought.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, thinking: Thinking = None) -> None:
        self._tokenizer, self._options = tokenizer, dict[str, bool]()
        self.thinking: bool | None = None
        if thinking == "as it is":
            return
        if (switch := self._switch()) is not None:
            self._options = {switch: bool(thinking)}
        opens = self._is_there and _OPEN_THOUGHT.search(self._try(_PROBE) or "") is not None
        if switch is not None or opens:
            self.thinking = bool(thinking)
        elif thinking is not None:
            lack = "chat template knows no enable_thinking" if self._is_there else "tokenizer has no chat template"
            option = "--thinking" if thinking else "--no-thinking"
            raise InputError(f"the model's {lack}, so thinking cannot be switched on or off: leave out {option}")

    def render(self, contents: Sequence[str], mark: str) -> str:
        """Return a conversation as one text: the user's message, the model's answer, the user's next one, and so on.

        Each has the `mark` once; a form in which they are not all there once is tried last. An InputError in one line
        says that the template fails on every form.
        """
        if not self._is_there:
            return "".join(content + "\n\n" for content in contents)
        roles = ("user", "assistant")
        talk: list[Message] = [{"role": roles[turn % 2], "content": each} for turn, each in enumerate(contents)]
        errors, texts = list[Exception](), list[str]()
        for messages in _forms(talk):
            try:
                texts.append(self._apply(messages))
            except Exception as error:  # a template may raise anything
                errors.append(error)
            else:
                if texts[-1].count(mark) == len(contents):
                    return self._closed(texts[-1])
        if errors:
            reason = " ".join(str(errors[0]).split())
            raise InputError(f"the model's chat template fails on a user message: {reason}") from errors[0]
        return texts[0]

    @property
    def _is_there(self) -> bool:
        return bool(self._tokenizer.chat_template)

    def _closed(self, rendered: str) -> str:
        """The text with its last thought closed, where that is wanted."""
        thought = _OPEN_THOUGHT.search(rendered) if self.thinking is False else None
        return rendered if thought is None else f"{rendered.rstrip()}\n\n</{thought[1]}>\n\n"

    def _switch(self) -> str | None:
        """The name of the template's switch for thinking: what makes a difference in a conversation's end."""
        template = self._tokenizer.chat_template or ""
        source = "\n".join(map(str, template.values())) if isinstance(template, dict) else str(template)
        for name in SWITCHES:
            if re.search(rf"\b{name}\b", source):
                on, off = (self._try(_PROBE, **{name: value}) for value in (True, False))
                if on is not None and off is not None and on != off:
                    return name
        return None

    def _try(self, messages: list[Message], **options: bool) -> str | None:
        for form in _forms(messages):
            try:
                return self._apply(form, **options)
            except Exception:  # a template may raise anything
                continue
        return None

    def _apply(self, messages: list[Message], **options: bool) -> str:
        given = self._options | options
        return str(self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **given))


def recorded_thinking(record: Mapping[str, Any]) -> Thinking:
    """What an annotation's record says of thinking; one of an older version told the template nothing."""
    value = record.get("thinking")
    return value if isinstance(value, bool) else "as it is"


def _forms(talk: list[Message]) -> list[list[Message]]:
    """A conversation in the forms that templates take."""
    system = {"role": "system", "content": SYSTEM}
    in_parts = [{**each, "content": [{"type": "text", "text": each["content"]}]} for each in talk]
    whole = "\n\n".join(
        f"Your answer: {each['content']}" if each["role"] == "assistant" else each["content"] for each in talk
    )
    forms = [talk, [system, *talk], in_parts]
    ends_with_user = len(talk) % 2 == 1
    return [*forms, [{"role": "user", "content": whole}]] if ends_with_user and len(talk) > 1 else forms
