"""The local annotator: one forward pass of a causal language model a text gives its class scores and its features."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from silr.annotators.base import Annotation, Plan, ScoreBatch, Scored, Scores, annotate_texts
from silr.annotators.chat_template import Thinking, recorded_thinking
from silr.annotators.encoding import PromptEncoder
from silr.annotators.feature_blocks import BLOCKS, LAST, MEAN, check_blocks, described, means, names_of
from silr.annotators.prompts import CONTENT_FREE, TEMPLATE, Prompt, with_codebook
from silr.errors import InputError
from silr.extras import need_models
from silr.hf import models
from silr.hf.devices import best_device, best_dtype
from silr.hf.hub import check_hub
from silr.io.codebook import Codebook, codebook_of_record
from silr.io.factories import registered

if TYPE_CHECKING:
    import torch
    from transformers import Cache

_ANY_LENGTH = 2**31  # tokens, of a model without positions
_CHUNK = 2048  # texts tokenised together while planning
_FLOAT16_MAX = 65504.0
_LONG = 16  # times the prefix
_REPLY_TOKENS = 64
_LEAST_FILLED = 0.9  # the shortest prompt of a batch, in longest ones


@registered
class LocalAnnotator:
    """Scores texts with a causal language model on this machine.

    The score of a class is the log-probability of its word right after the prompt, normalised over the classes; a word
    of several tokens counts with all of them. Where one word begins another ("science", "science fiction"), it counts
    too, for every class, that the answer ends after the word: with the end token, what the chat template puts after an
    answer, a full stop or a new line.

    What the prompts have in common is read once and its key-value cache reused. A batch holds prompts of nearly one
    length, filled up at the end, where a causal model cannot see it from the answering position: no mask is needed, and
    each text is read as it would be alone. (Words of several tokens go on from there, so then a batch holds prompts of
    exactly one length.)

    The features are hidden states of the same pass, those that the output layer reads (last layer, after the final
    norm). The block "last" is the state at the answering position, from which the answer comes. The block "mean" beside
    it is the mean over all positions after the tokens that every prompt begins with: the text, and what follows it up
    to the answer.

    Parameters
    ----------
    model : str or Path
        A model folder, a `.gguf` file (or a folder with one), or a name on the Hugging Face hub. A GGUF file is
        dequantised on first use into `$XDG_CACHE_HOME/silr/models` (`~/.cache` by default).
    classes : sequence of str, of length K >= 2, default None
        Class names, in the order of the scores. None: those of the codebook.
    question, prompt, opening, class_words, examples, codebook
        What the model is asked and how it answers, as in `Prompt`. Without a `prompt` the codebook stands first.
    thinking : bool, default None
        What a chat template with a switch for it is told. None: off, since the answer is scored where it begins.
    calibrate : {None, "contextual"}, default None
        "contextual" divides the class probabilities by those that the model gives to texts without content ("N/A",
        "[MASK]" and the empty text, averaged), then normalises: contextual calibration, Zhao et al., "Calibrate Before
        Use", ICML 2021, arXiv 2102.09690.
    token_budget : int, default None
        Prompt tokens in one batch at most (a longer prompt is a batch of its own): 2,048 on a CPU, else 16,384.
    device : str, default None
        "cpu", "cuda", ... or "auto" to spread a large model over GPUs; by default the GPU if there is one.
    dtype : {None, "float32", "bfloat16", "float16"}, default None
        Number format of the weights; by default bfloat16 where the device is fast at it, else float32.
    trust_remote_code : bool, default False
        Run Python code that comes with the model.
    feature_blocks : sequence of {"last", "mean"}, default ("last", "mean")
        The blocks of features, in the order of their columns. Each is as wide as a hidden state.

    Attributes
    ----------
    n_features : int
        Width of the features, of all blocks together.
    n_prefix : int
        Prompt tokens that are read once for all texts; 0 where the model's cache cannot be reused.

    Raises
    ------
    InputError
        The prompt or an option is wrong (said before anything is loaded), or the model cannot be used.
    """

    def __init__(
        self,
        model: str | Path,
        classes: Sequence[str] | None = None,
        *,
        question: str | None = None,
        prompt: str = TEMPLATE,
        opening: str | None = None,
        class_words: Mapping[str, str] | None = None,
        examples: Sequence[tuple[str, str]] = (),
        codebook: Codebook | None = None,
        thinking: Thinking = None,
        calibrate: str | None = None,
        token_budget: int | None = None,
        device: str | None = None,
        dtype: str | None = None,
        trust_remote_code: bool = False,
        feature_blocks: Sequence[str] = BLOCKS,
    ) -> None:
        self._blocks = check_blocks(feature_blocks)
        template = with_codebook(prompt, codebook, TEMPLATE)
        self.prompt = Prompt(classes, question, template, opening, class_words, examples, codebook)
        self.classes = self.prompt.names
        if calibrate not in (None, "contextual"):
            raise InputError(f"calibrate is {calibrate!r}; it must be None or 'contextual'")
        if token_budget is not None and token_budget < 1:
            raise InputError(f"token_budget is {token_budget}; it must be at least 1")
        need_models("an LLM on this machine")
        self._model = models.locate(model)
        check_hub(self._model)  # before PyTorch is imported, which takes longer
        import torch

        self._calibrate = calibrate
        self._trust = trust_remote_code
        device = device or best_device()
        self._budget = token_budget or (2048 if device == "cpu" else 16384)
        self._dtype = dtype or best_dtype(device)
        tokenizer, self._network = models.load(self._model, device, self._dtype, trust_remote_code)
        self._vocabulary = models.tokenizer_fingerprint(tokenizer)
        known = (tokenizer.pad_token_id, tokenizer.eos_token_id, 0)  # what fills rows is masked
        padding = next(token for token in known if token is not None)
        self._greedy = {"temperature": None, "top_p": None, "top_k": None, "pad_token_id": padding}
        self._head = self._network.get_output_embeddings()
        if self._head is None:
            raise InputError(f"the model {self._model} has no output layer over its vocabulary; give a language model")
        self._width = int(self._head.weight.shape[1])
        context = getattr(self._network.config.get_text_config(), "max_position_embeddings", None)
        self._encode = PromptEncoder(self.prompt, tokenizer, int(context or _ANY_LENGTH), thinking)
        stops = getattr(self._network.generation_config, "eos_token_id", None)
        stops = set(stops if isinstance(stops, list) else [stops]) - {None}
        self._ends = self._encode.ends and sorted({*self._encode.ends, *stops})
        one_step = max(map(len, self._encode.answers)) == 1 and not self._ends
        self._least_filled = _LEAST_FILLED if one_step else 1.0
        self._prefix = self._encode.prefix
        self._start_cache = self._read_prefix()
        self.n_prefix = len(self._prefix) if self._start_cache is not None else 0
        self._offset: float | torch.Tensor = 0.0
        if calibrate:
            plain = np.concatenate([self.score_batch([text])[0] for text in CONTENT_FREE])
            self._offset = torch.from_numpy(np.log(np.exp(plain).mean(axis=0))).to(self._network.device)

    @classmethod
    def from_description(cls, description: Mapping[str, Any], *, device: str | None = None) -> LocalAnnotator:
        """Build the annotator that `describe()` described; InputError if its model is gone or has other weights now."""
        names = ("classes", "question", "prompt", "opening", "class_words", "calibrate", "dtype", "trust_remote_code")
        if description.get("kind") != "local" or not {"model", "weights", *names} <= set(description):
            raise InputError("this is not the description of a local annotator")
        options = {name: description[name] for name in names}
        options["examples"] = [tuple(example) for example in description.get("examples", ())]
        options["codebook"] = codebook_of_record(description.get("codebook"))
        options["thinking"] = recorded_thinking(description)
        options["feature_blocks"] = names_of(description)
        annotator = cls(description["model"], device=device, **options)
        now = annotator.describe()
        if any(now[name] != description.get(name, now[name]) for name in ("weights", "tokenizer")):
            raise InputError(f"the model {description['model']} has changed since it annotated; annotate again")
        return annotator

    @property
    def n_features(self) -> int:
        """Width of the features, of all blocks together."""
        return len(self._blocks) * self._width

    def take_blocks(self, names: Sequence[str]) -> None:
        """Let the features be of these blocks from now on."""
        self._blocks = check_blocks(names)

    def annotate(self, texts: Sequence[str]) -> Annotation:
        """Score texts in memory, row for row; equal texts are read once."""
        return annotate_texts(self, texts)

    def plan(self, texts: Sequence[str]) -> Plan:
        """Split texts into batches of prompts of nearly one length, the longest first: memory peaks at the start."""
        (total, own), cut = np.empty((2, len(texts)), np.int64), np.empty(len(texts), np.bool_)
        for start in range(0, len(texts), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            prompts, cut[chunk] = self._encode(texts[chunk])
            total[chunk], own[chunk] = self._lengths(prompts)
        batches = self._batches(total, own, self._least_filled)
        return Plan(batches, [int(own[batch].sum()) for batch in batches], cut)

    def score_batches(self, batches: Sequence[Sequence[str]]) -> Iterator[Scored]:
        """Read batches of a plan in order; see `score_batch`."""
        return self.work(self.score_batch, batches)

    def work(self, score: ScoreBatch, batches: Sequence[Sequence[str]]) -> Iterator[Scored]:
        """Call `score` with each batch in order and yield its results."""
        for number, texts in enumerate(batches):
            yield number, *score(texts)

    def score_batch(self, texts: Sequence[str], turns: Sequence[Sequence[str]] | None = None) -> Scores:
        """Read the texts of one batch of a plan, or go on with conversations; see `self_refine.Talking.score_batch`.

        `calibrate` has no effect on scores at the end of a conversation.
        """
        if turns is None:
            prompts, _ = self._encode(texts)
            return self._read(prompts, self._offset)
        talks = zip(texts, turns, strict=True)
        prompts = [self._encode.conversation(text, later, answering=True) for text, later in talks]
        scores = np.empty((len(texts), len(self.classes)), np.float32)
        features = np.empty((len(texts), self.n_features), np.float16)
        for rows in self._batches(*self._lengths(prompts), self._least_filled):
            scores[rows], features[rows] = self._read([prompts[row] for row in rows], 0.0)
        return scores, features

    def take_form(self, texts: Sequence[str]) -> None:
        """Do nothing: a model on this machine answers in one form."""

    def reply_batch(self, texts: Sequence[str], turns: Sequence[Sequence[str]]) -> list[str]:
        """Return what the model says next in conversations about texts, 64 tokens at most; see `score_batch`."""
        import torch

        talk = partial(self._encode.conversation, answering=False, reserve=_REPLY_TOKENS)
        prompts = [talk(text, later) for text, later in zip(texts, turns, strict=True)]
        replies = [""] * len(texts)
        length = np.array([len(ids) for ids in prompts])
        for rows in self._batches(length, length, 0.0):  # a step costs the same for one text as for many
            own = [torch.tensor(prompts[row], device=self._network.device) for row in rows]
            ids = torch.nn.utils.rnn.pad_sequence(own, batch_first=True, padding_side="left")
            seen = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in own], True, 0, "left")
            continued = self._network.generate(
                input_ids=ids, attention_mask=seen, max_new_tokens=_REPLY_TOKENS, do_sample=False, **self._greedy
            )
            for row, whole in zip(rows, continued.tolist(), strict=True):
                replies[row] = self._encode.decode(whole[ids.shape[1] :])
        return replies

    def describe(self) -> dict[str, object]:
        """Return the model, the prompt and the versions, ready for JSON; see `from_description`."""
        import torch
        import transformers

        import silr

        about: dict[str, object] = {
            "kind": "local",
            "model": self._model,
            "weights": models.network_fingerprint(self._network),
        }
        about |= {"tokenizer": self._vocabulary, **self.prompt.describe(), "opening": self.prompt.answer_opening()}
        options: dict[str, object] = {"calibrate": self._calibrate, "token_budget": self._budget, "dtype": self._dtype}
        if self._encode.thinking is not None:
            options["thinking"] = self._encode.thinking
        versions = {module.__name__: module.__version__ for module in (silr, torch, transformers)}
        options |= {"trust_remote_code": self._trust, **described(self._blocks, self._width)}
        return {**about, **options, "versions": versions}

    def _read(self, prompts: list[list[int]], offset: float | torch.Tensor) -> Scores:
        """Return scores and features of prompts that make up one batch."""
        import torch

        shared = self._n_shared(prompts[0])
        own = [torch.tensor(ids[shared:], device=self._network.device) for ids in prompts]
        begin = len(self._prefix) - shared
        spans = [(min(begin, len(row) - 1), len(row)) for row in own]  # what the block MEAN is over
        try:
            with torch.inference_mode():
                scores, hidden = self._score(own, spans, self._start(len(prompts)) if shared else None)
        except torch.OutOfMemoryError as error:
            reason = f"the GPU's memory does not suffice for {sum(map(len, own)):,} tokens at once"
            raise InputError(f"{reason}; lower token_budget") from error
        if not scores.isfinite().all():
            raise InputError(f"the model's scores are not finite in {self._dtype}; try dtype float32")
        features = hidden.clamp(-_FLOAT16_MAX, _FLOAT16_MAX).cpu().numpy().astype(np.float16)
        return (scores - offset).log_softmax(-1).cpu().numpy(), features

    def _lengths(self, prompts: list[list[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return each prompt's tokens, and how many of them have to be read."""
        return np.array([len(ids) for ids in prompts]), np.array([len(ids) - self._n_shared(ids) for ids in prompts])

    def _batches(self, total: NDArray[np.int64], own: NDArray[np.int64], least: float) -> list[NDArray[np.int64]]:
        """Put prompts of nearly one length together, as many as the budget allows; the longest come first."""
        shared = own < total
        order = np.lexsort((-own, shared))
        batches = []
        while len(order):
            first = order[0]
            batch = order[: max(1, self._budget // int(total[first]))]
            fits = (own[batch] >= least * own[first]) & (shared[batch] == shared[first])
            batch = batch if fits.all() else batch[: fits.argmin()]
            batches.append(batch)
            order = order[len(batch) :]
        return batches

    def _score(
        self, own: list[torch.Tensor], spans: list[tuple[int, int]], cache: Cache | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the words' log-probabilities (n, K) after the prompts' `own`, and the features (n, n_features)."""
        import torch

        ids = torch.nn.utils.rnn.pad_sequence(own, batch_first=True)
        last = torch.tensor([[len(row) - 1] for row in own], device=ids.device)
        logits, blocks, cache = self._forward(ids, cache, last, spans)
        log_p = logits[:, 0].float().log_softmax(-1)
        answers = self._encode.answers
        scores = log_p[:, [answer[0] for answer in answers]]
        for column, (first, *rest) in enumerate(answers):
            read = [first, *rest] if self._ends else [first, *rest][:-1]
            if not read:
                continue
            known = torch.tensor(read, device=ids.device).expand(len(ids), -1)
            steps = torch.arange(len(read), device=ids.device)
            if self._start_cache is None:  # no cache to go on from: read the prompt again
                logits, _, _ = self._forward(torch.cat([ids, known], dim=1), None, last + 1 + steps)
            else:
                logits, _, _ = self._forward(known, copy.deepcopy(cache), steps.expand(len(ids), -1))
            log_p = logits.float().log_softmax(-1)
            scores[:, column] += log_p[:, steps[: len(rest)], rest].sum(-1)
            if self._ends:
                scores[:, column] += log_p[:, -1, self._ends].logsumexp(-1)
        return scores, torch.cat([blocks[name] for name in self._blocks], dim=1)

    def _forward(
        self,
        ids: torch.Tensor,
        cache: Cache | None,
        positions: torch.Tensor,
        spans: list[tuple[int, int]] | None = None,
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor], Cache | None]:
        """Return logits of each row's `positions` (n, m) among `ids`, its blocks of states, and the cache after `ids`.

        The block LAST is the state at the first of the positions, and MEAN that over the `spans`, if there are any. The
        output layer is given the positions alone; what a model does to its logits afterwards still happens.
        """
        import torch

        rows = torch.arange(len(ids), device=ids.device)[:, None]
        blocks: dict[str, torch.Tensor] = {}

        def narrow(_: object, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            narrowed = inputs[0][rows, positions]
            blocks[LAST] = narrowed[:, 0].float()
            if spans is not None and MEAN in self._blocks:
                blocks[MEAN] = means(inputs[0], spans)
            return (narrowed, *inputs[1:])

        with self._head.register_forward_pre_hook(narrow):
            output = self._network(input_ids=ids, past_key_values=cache, use_cache=True)
        return output.logits, blocks, getattr(output, "past_key_values", None)

    def _read_prefix(self) -> Cache | None:
        """Return the cache after the prefix, or None where going on from it is not the same as reading everything.

        Some models (state-space layers, for one) cannot take several tokens up from a cache; so it is tried.
        """
        import torch
        from transformers.cache_utils import Cache

        if not self._prefix:
            return None
        (prompt,), _ = self._encode(["This is a text."])
        with torch.inference_mode():
            whole = torch.tensor([prompt], device=self._network.device)
            length = len(self._prefix)
            last = torch.tensor([[len(prompt) - 1]], device=whole.device)
            _, _, cache = self._forward(whole[:, :length], None, 0 * last)
            if not isinstance(cache, Cache):
                return None
            _, expected, _ = self._forward(whole, None, last)
            _, resumed, _ = self._forward(whole[:, length:], copy.deepcopy(cache), last - length)
        near = torch.dist(expected[LAST], resumed[LAST]) < 0.1 * expected[LAST].norm()
        return cache if near else None

    def _n_shared(self, ids: list[int]) -> int:
        """How many of a prompt's tokens need not be read again: the prefix, where a text did not change its tokens.

        A long prompt is read whole: going on from a cache needs an attention mask, which costs more than the prefix.
        """
        length = len(self._prefix)
        worth = self._start_cache is not None and length < len(ids) <= _LONG * length
        return length if worth and ids[:length] == self._prefix else 0

    def _start(self, n: int) -> Cache | None:
        """Return a cache that holds the prefix for each of n texts, if there is one."""
        import torch

        cache = copy.deepcopy(self._start_cache)
        if cache is not None:
            cache.reorder_cache(torch.zeros(n, dtype=torch.long, device=self._network.device))
        return cache
