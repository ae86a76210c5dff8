"""The bill before the run: what an annotation would ask, how many tokens that is, and what it would cost.

Nothing is sent and nothing is written: the cache of answers and an unfinished annotation are read only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from silr.annotators import tokens
from silr.annotators.base import Annotator, blank, identity_of
from silr.annotators.columns import check_name
from silr.annotators.cost import Price, in_words, said
from silr.annotators.examples import check_examples
from silr.annotators.side_by_side import Table
from silr.annotators.table import partial_path
from silr.io import corpus
from silr.io.files import Json
from silr.io.texts import distinct

if TYPE_CHECKING:
    from silr.annotators.api.dry_client import DryClient
    from silr.annotators.api.embedding_bill import EmbeddingBill
    from silr.annotators.prompts import Prompt

_CHUNK = 1000  # texts whose questions are held at a time
_CRITIQUE = 80


@dataclass
class DryRun:
    """What would be asked. Of a model on this machine there are no requests, no answers and no dollars."""

    texts: corpus.TextCounts
    prompt: list[dict[str, str]] | str = ""  # of the first text: messages, or a local model's whole one; "" for none
    parameters: Json = field(default_factory=dict)  # sent beside the messages
    asked: int = 0  # distinct texts that would be asked about
    known: int = 0  # distinct texts whose answers are in the cache
    finished: int = 0  # distinct texts that an unfinished annotation has
    cut: int = 0  # distinct texts of which a local model would not read the end
    prompt_tokens: int = 0
    exact: bool = True  # whether a tokenizer counted them
    counted: str = ""  # how they were counted
    requests: int | None = None
    answer_tokens: int = 0
    assumed: str = ""  # why so many
    price: Price | None = None
    unknown: str = ""  # why there is no price
    notes: list[str] = field(default_factory=list)
    embeddings: EmbeddingBill | None = None  # beside the labels, where they are wanted

    @property
    def dollars(self) -> float | None:
        """What it would cost; None if that is unknown."""
        return None if self.price is None else self.price.dollars(self.prompt_tokens, self.answer_tokens)

    def values(self) -> Json:
        """For JSON."""
        values: Json = {"dry_run": True, **self.texts._asdict(), "prompt": self.prompt}
        values |= {"asked": self.asked, "finished": self.finished, "prompt_tokens": self.prompt_tokens}
        values |= {"exact": self.exact, "counted": self.counted, "notes": self.notes}
        values |= {} if self.embeddings is None else {"embeddings": self.embeddings.values()}
        if self.requests is None:
            return values | {"cut": self.cut}
        values |= {"known": self.known, "requests": self.requests, "parameters": self.parameters}
        values |= {"answer_tokens": self.answer_tokens, "answers_assumed": self.assumed}
        return values | {"dollars": said(self.dollars), "price": self.price and self.price.describe()}

    def lines(self) -> Iterator[str]:
        """For people."""
        if self.prompt:
            yield "the prompt of the first text:"
            for message in [{"content": self.prompt}] if isinstance(self.prompt, str) else self.prompt:
                yield f"--- {message['role']}" if "role" in message else "---"
                yield message["content"]
            yield "---"
        if self.parameters:
            shown = (
                f"{name} {value if isinstance(value, str) else json.dumps(value)}"
                for name, value in self.parameters.items()
            )
            yield f"sent with {', '.join(shown)}"
        yield str(self.texts)
        left = [(self.known, "known already"), (self.finished, "of an unfinished annotation")]
        beside = "; ".join(f"{n:,} {words}" for n, words in left if n)
        requests = "" if self.requests is None else f", in {self.requests:,} requests"
        yield f"to be asked about: {self.asked:,} texts{requests}" + (f" ({beside})" if beside else "")
        if self.cut:
            yield f"{self.cut:,} of them are longer than the model reads and would be cut"
        about = "" if self.exact else "about "
        of_embeddings = [] if self.embeddings is None else self.embeddings.lines()
        if not self.asked:
            yield from (*of_embeddings, *self.notes, "nothing was sent, nothing was written")
            return
        yield f"tokens of the prompts: {about}{self.prompt_tokens:,} ({self.counted})"
        if self.requests is not None:
            yield f"tokens of the answers: about {self.answer_tokens:,} ({self.assumed})"
            yield self.unknown if self.price is None else f"cost: about {in_words(self.dollars)} ({self.price})"
        yield from of_embeddings
        yield from self.notes
        yield "nothing was sent, nothing was written"


def dry_run(
    source: str | Path,
    output: str | Path,
    asking: Annotator,
    client: DryClient,
    *,
    words: Sequence[str],
    text_column: str = "text",
    name: str = "",
    tokenizer: str | None = None,
    price: Price | None = None,
) -> DryRun:
    """Go through an annotation by an LLM behind a server without sending anything.

    `asking` is an annotator whose client is the `client`, with or without self-refinement, and `words` are its answers.
    The `tokenizer` is a folder or name, see `silr.annotators.tokens.counter_for`.

    Raises InputError as `silr.annotators.table.annotate_file` before it begins, or if the tokenizer cannot be used.
    """
    from silr.annotators.api.prices import explain_unknown

    identity = identity_of(asking)
    table, done = _begin(source, output, asking, identity, text_column, name)
    texts, finished = _texts_left(table, asking, identity, done, name)
    word = max(words, key=tokens.estimate)
    first = next(text for text in table.texts if text.strip())
    client.begin(word)
    getattr(asking, "take_form", lambda texts: None)([text for text in distinct(table.texts)[0] if text.strip()])
    _ask(asking, [first])
    assert client.first is not None
    done.prompt, done.parameters = client.first.messages, client.parameters_of(client.first)
    count = tokens.counter_for(client.model, tokenizer)
    requests = critiques = asked = prompt_tokens = 0
    known_tokens: list[int] = []
    for start in range(0, len(texts), _CHUNK):
        chunk = texts[start : start + _CHUNK]
        client.begin(word)
        _ask(asking, chunk)
        requests += len(client.asked)
        critiques += client.count_critiques()
        asked += len({question.messages[0]["content"] for question in client.asked})
        known_tokens += client.known_tokens
        prompt_tokens += count([question.messages for question in client.asked])
    done.asked, done.known, done.finished = asked, len(texts) - asked, finished
    done.requests, done.prompt_tokens, done.exact, done.counted = requests, prompt_tokens, count.exact, count.words
    each = tokens.estimate(word) + 1
    done.assumed = f"assumed: {each} an answer; a model that thinks first writes many more"
    if known_tokens:
        each = float(np.mean(known_tokens))  # type: ignore[assignment]
        done.assumed = f"assumed: {each:.0f} an answer, as the {len(known_tokens):,} known ones have"
    done.answer_tokens = round(each * (requests - critiques)) + _CRITIQUE * critiques
    if critiques:
        done.assumed += f", and {_CRITIQUE} a critique"
    done.price = price
    done.unknown = explain_unknown(client.model, client.server)
    return done


def local_dry_run(
    source: str | Path,
    output: str | Path,
    model: str | Path,
    prompt: Prompt,
    *,
    text_column: str = "text",
    name: str = "",
    self_refine: bool = False,
    thinking: bool | None = None,
) -> DryRun:
    """Go through an annotation by an LLM on this machine: its tokenizer is loaded, the model is not.

    Raises InputError as `silr.annotators.table.annotate_file` does before it begins, or if the model cannot be used.
    """
    from silr.annotators.encoding import PromptEncoder, prompt_around_text
    from silr.extras import need_models
    from silr.hf.models import load_tokenizer, locate

    need_models("an LLM on this machine")
    place = locate(model)
    tokenizer = load_tokenizer(place)
    encode = PromptEncoder(prompt, tokenizer, int(tokenizer.model_max_length), thinking)
    about: Any = _Described(prompt.names)
    identity = {"kind": "local", "model": place, **prompt.describe(), "opening": prompt.answer_opening()}
    table, done = _begin(source, output, about, identity, text_column, name)
    texts, done.finished = _texts_left(table, about, identity, done, name)
    first = next(text for text in table.texts if text.strip())
    done.prompt = prompt_around_text(prompt, tokenizer, thinking).replace("{text}", first, 1)
    done.counted = f"counted by the model's tokenizer{', in the first of three steps' if self_refine else ''}"
    done.asked = len(texts)
    for start in range(0, len(texts), _CHUNK):
        prompts, cut = encode(texts[start : start + _CHUNK])
        done.prompt_tokens += sum(map(len, prompts))
        done.cut += sum(cut)
    return done


@dataclass(frozen=True)
class _Described:
    """An annotator of which only the classes are known."""

    classes: tuple[str, ...]


def _begin(
    source: str | Path,
    output: str | Path,
    annotator: Annotator,
    identity: Mapping[str, object],
    text_column: str,
    name: str,
) -> tuple[Table, DryRun]:
    corpus.features_path(output)  # refuses an unknown suffix
    table = Table(Path(source), Path(output), text_column, name)
    check_name(name, annotator.classes, table.frame.columns)
    check_examples(identity, table.frame, table.texts, source)
    return table, DryRun(corpus.text_counts(table.texts))


def _texts_left(
    table: Table, annotator: Annotator, identity: Mapping[str, object], done: DryRun, name: str
) -> tuple[list[str], int]:
    """Distinct texts that are not blank and that no unfinished annotation has, and how many it has."""
    unique, _ = distinct(table.texts)
    numbers = _finished(partial_path(table.output, name), unique, annotator, identity, done)
    empty = blank(unique)
    left = [text for number, text in enumerate(unique) if number not in numbers and not empty[number]]
    return left, len(numbers)


def _finished(
    folder: Path, texts: Sequence[str], annotator: Annotator, identity: Mapping[str, object], done: DryRun
) -> set[int]:
    """Numbers of the texts that an unfinished annotation has; none if it is of something else, which is noted."""
    try:
        meta = json.loads((folder / "meta.json").read_bytes())
        size = (folder / "scores").stat().st_size
        kind = np.dtype([("text", "<i8"), ("scores", "<f4", (len(annotator.classes),))])
        begun = size // kind.itemsize
        same = meta["texts"] == corpus.corpus_hash(texts)
        known: Json = json.loads(json.dumps(identity))
        same &= all(meta["annotator"].get(key) == value for key, value in known.items())
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return set()
    if not same:
        if begun:
            done.notes.append(f"{folder} holds an unfinished annotation of something else: finish or delete it first")
        return set()
    return set(np.fromfile(folder / "scores", kind, count=begun)["text"].tolist())


def _ask(asking: Annotator, texts: Sequence[str]) -> None:
    for _ in asking.score_batches([[text] for text in texts]):
        pass
