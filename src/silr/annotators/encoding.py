"""From texts to token ids: each text inside the whole prompt, and the tokens that every prompt begins with."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from silr.annotators.chat_template import ChatTemplate, Thinking
from silr.annotators.prompts import Prompt
from silr.errors import InputError
from silr.io.texts import common_start

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_MARK = "\ue000text\ue000"  # stands for the text while the chat template is rendered; private-use characters
_PLAIN = {"add_special_tokens": False, "verbose": False}
_MARKS = ("\n", "|", "~")
_PROBES = ("", "a", "The", " the", "I'm", "1", "(", '"', ".", "\n", "é", "…", "語", "😀")


class PromptEncoder:
    """Tokenises whole prompts, so that no token depends on where silr divides the prompt.

    A prompt is the tokenizer's chat template around the user's message (or the bare message where there is none),
    followed by the opening of the answer. It is tokenised in one piece, but for two kinds of text: one that contains
    the string of a special token, and one that is too long for the `context`. There head, text and tail are tokenised
    apart, the text's special tokens as ordinary characters, its end left out if need be.

    `prefix` are the tokens that prompts begin with whatever the text is, `answers` those of each class word after the
    opening, and `ends` those that end an answer. `ends` is empty where no class word begins another one. `thinking`
    is that of `ChatTemplate`. An InputError says that the template fails, or that prompt or class words do not fit the
    tokenizer.
    """

    def __init__(
        self, prompt: Prompt, tokenizer: PreTrainedTokenizerBase, context: int, thinking: Thinking = None
    ) -> None:
        self._tokenizer, self._chat = tokenizer, ChatTemplate(tokenizer, thinking)
        self.thinking = self._chat.thinking
        special = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
        special.update(tokenizer.all_special_tokens)
        self._special = re.compile("|".join(map(re.escape, sorted(special, key=len, reverse=True))) or r"(?!)")
        self._prompt, self._pieces = prompt, {0: _render(prompt, self._chat)}
        self._head, self._tail = self._pieces[0][0], self._pieces[0][1] + prompt.answer_opening().rstrip()
        self._start = [] if tokenizer.chat_template else tokenizer("a")["input_ids"][:1]
        if self._start != [tokenizer.bos_token_id]:  # the token that some put before a plain text
            self._start = []
        self._prefixes = self._ids("a") != self._after_a_mark("a")
        self.answers = [self._answer(prompt.separator(), word) for word in prompt.words]
        if len(set(map(tuple, self.answers))) < len(self.answers):
            raise InputError(f"the tokenizer sees no difference between some of the answers {', '.join(prompt.words)}")
        one_begins_another = any(_begins(*pair) for pair in itertools.permutations(self.answers, 2))
        self.ends = self._ends() if one_begins_another else []
        self._limit = context - max(map(len, self.answers))
        self._outside = [self._start + self._ids(self._head), self._later(self._tail)]
        self._room = self._limit - sum(map(len, self._outside))
        if self._room < 1:
            raise InputError(f"the prompt leaves no room for a text in the model's {context} tokens; shorten it")
        self.prefix = common_start([self._whole(text) for text in _PROBES])

    def __call__(self, texts: Sequence[str]) -> tuple[list[list[int]], list[bool]]:
        """Return the token ids of each text's prompt, and which texts were cut."""
        whole = self._tokenizer([self._head + text + self._tail for text in texts], **_PLAIN)
        prompts = [self._start + ids for ids in whole["input_ids"]]
        cut = [False] * len(texts)
        for row, text in enumerate(texts):
            if len(prompts[row]) > self._limit or self._special.search(text):
                inside = self._later(text, split_special_tokens=True)
                cut[row] = len(inside) > self._room
                prompts[row] = self._outside[0] + inside[: self._room] + self._outside[1]
        return prompts, cut

    def conversation(self, text: str, turns: Sequence[str], answering: bool, reserve: int = 0) -> list[int]:
        """Return the token ids of a conversation about a text, at the point where the model goes on.

        The turns follow the user's message: the model's answer, the user's next message, and so on. They are taken as
        ordinary characters, like the text; the text's end is left out if all is too long. Where the model is
        `answering`, its answer is opened; `reserve` tokens are left free for what it says.
        """
        if len(turns) not in self._pieces:
            self._pieces[len(turns)] = _render(self._prompt, self._chat, len(turns))
        pieces = list(self._pieces[len(turns)])
        if answering:
            pieces[-1] += self._prompt.answer_opening().rstrip()
        own, *later = (self._later(words, split_special_tokens=True) for words in (text, *turns))
        first, *others = self._start + self._ids(pieces[0]), *map(self._later, pieces[1:])
        room = self._limit - reserve - sum(map(len, (first, *others, *later)))
        if room < 1:
            raise InputError("the conversation about a text leaves no room for the text in the model's context")
        contents = zip([own[:room], *later], others, strict=True)
        return first + [token for content, piece in contents for token in (*content, *piece)]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of tokens that the model made, special ones left out."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True)).strip()

    def _answer(self, separator: str, word: str) -> list[int]:
        """The tokens that a word adds to a prompt; those of the word alone where it would change the prompt's."""
        prompt, answered = self._whole("a"), self._whole("a", separator + word)
        if len(answered) > len(prompt) and answered[: len(prompt)] == prompt:
            return answered[len(prompt) :]
        alone = self._later(separator + word, split_special_tokens=True)
        if not alone:
            raise InputError(f"the tokenizer has no tokens for the answer {word!r}")
        return alone

    def _ends(self) -> list[int]:
        tokenizer = self._tokenizer
        special = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
        ends = {tokenizer.eos_token_id}
        with suppress(InputError):  # some templates show no answer
            after = self._later(_render(self._prompt, self._chat, 1)[2])
            ends.add(next((token for token in after if token in special), None))
        for answer, word in zip(self.answers, self._prompt.words, strict=True):
            for mark in (".", "\n"):
                ended = self._later(self._prompt.separator() + word + mark, split_special_tokens=True)
                ends.update(ended[len(answer) :][:1] if ended[: len(answer)] == answer else ())
        pairs = itertools.permutations(self.answers, 2)
        going_on = {other[len(own)] for own, other in pairs if _begins(own, other)}  # as in "U.S" and "U.S."
        return sorted(ends - going_on - {None, tokenizer.unk_token_id})

    def _whole(self, text: str, answer: str = "") -> list[int]:
        return self._start + self._ids(self._head + text + self._tail + answer)

    def _ids(self, text: str, **options: bool) -> list[int]:
        return list(self._tokenizer(text, **_PLAIN, **options)["input_ids"])

    def _later(self, text: str, **options: bool) -> list[int]:
        """The tokens of a piece that stands after another: without the blank that sentencepiece begins a text with."""
        return self._after_a_mark(text, **options) if self._prefixes else self._ids(text, **options)

    def _after_a_mark(self, text: str, **options: bool) -> list[int]:
        for mark in _MARKS:  # the first that the tokenizer does not join with the text
            alone, both = self._ids(mark), self._ids(mark + text, **options)
            if both[: len(alone)] == alone:
                return both[len(alone) :]
        return self._ids(text, **options)


def prompt_around_text(prompt: Prompt, tokenizer: PreTrainedTokenizerBase, thinking: Thinking = None) -> str:
    """Return the whole prompt with ``{text}`` for the text, up to where the answer begins."""
    before, after = _render(prompt, ChatTemplate(tokenizer, thinking))
    return before + "{text}" + after + prompt.answer_opening().rstrip()


def _render(prompt: Prompt, chat: ChatTemplate, n_turns: int = 0) -> list[str]:
    """Return what stands before, between and after the text and `n_turns` later turns, up to the model's next one."""
    before, after = prompt.around_text()
    pieces = chat.render([before + _MARK + after] + n_turns * [_MARK], _MARK).split(_MARK)
    if len(pieces) != n_turns + 2:
        shown = f"{n_turns + 1} messages {len(pieces) - 1} times"
        raise InputError(f"the model's chat template shows {shown} instead of once each")
    return pieces


def _begins(own: list[int], other: list[int]) -> bool:
    return len(own) < len(other) and other[: len(own)] == own
