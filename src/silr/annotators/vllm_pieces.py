"""Pieces annotated by vLLM on a Ray cluster: Ray's batch LLM API starts the engines and hands out the prompts.

The process that drives Ray Data collects what vLLM says of the texts of a piece, and writes it once all is there.
"""

from __future__ import annotations

import json
import re
import socket
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from silr import __version__
from silr.annotators.pieces import AnnotatedPieces, PieceAnnotator, annotate_pieces
from silr.annotators.vllm import VllmAnnotator
from silr.errors import InputError
from silr.extras import needs
from silr.io import corpus
from silr.io.engines import VLLM
from silr.io.factories import Factory, registered
from silr.io.files import Json
from silr.io.pieces import Piece, read_piece
from silr.io.ray_workers import LOG
from silr.io.texts import distinct
from silr.io.workers import Missing, Report

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK = 512  # texts that are tokenised together
BATCH = 64  # prompts that Ray hands to vLLM together, eight times at once
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_NAMED = re.compile(r"[\w.]+(Error|Exception): ")
_NO_ENGINE, _OF_ENGINE = "Engine core initialization failed", re.compile(r"EngineCore.*\] ([\w.]+Error: .*)")
_REFUSED = "silr.errors.InputError: "


def annotate_by_vllm(
    source: str | Path,
    output: str | Path,
    make: Callable[[], VllmAnnotator],
    settings: Json,
    *,
    text_column: str = "text",
    name: str = "",
    quiet: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> AnnotatedPieces:
    """Annotate a folder or a glob of parquet files by vLLM; see `silr.annotators.pieces.annotate_pieces`.

    Parameters
    ----------
    source, output, settings, text_column, name, quiet, say
        As of `annotate_pieces`.
    make : Factory
        Makes a `VllmAnnotator`; it goes to other processes as data, see `annotate_pieces`.

    Raises
    ------
    InputError
        As of `annotate_pieces`, and if vLLM is missing or cannot load the model.
    """
    with needs("vllm", "--engine vllm"):
        for package in ("ray", "vllm"):
            if find_spec(package) is None:
                raise ModuleNotFoundError(name=package)
    options: dict[str, Any] = {"text_column": text_column, "name": name, "quiet": quiet, "say": say}
    options |= {"save_features": False, "worker": VllmPieces, "engine": VLLM}
    return annotate_pieces(source, output, make, {**settings, "engine": VLLM}, **options)


@registered
class VllmPieces:
    """Annotates pieces by vLLM; `make` makes a `VllmAnnotator`, and is a factory or what JSON makes of one."""

    def __init__(self, make: Callable[[], VllmAnnotator] | list[Any], output: str, settings: Json) -> None:
        self._annotator = Factory(*make)() if isinstance(make, list) else make()
        self._write = PieceAnnotator(lambda: self._annotator, output, settings)
        self._text, self._log = settings["text"], Path(output) / LOG

    def reports(
        self, ray: Any, missing: Missing, count: int, room: Mapping[str, float]
    ) -> Iterator[tuple[int, Report]]:
        """Make pieces by so many engines with such room; yield the number of each that is done, and its report.

        Raises InputError if Ray or vLLM lack something, or the model cannot be used.
        """
        about, paths = json.dumps(self._annotator.describe()), [str(piece.path) for piece, _ in missing]
        answers: dict[int, _Answers] = {}
        left = dict(enumerate(missing))
        rows = _answered(ray, self._annotator, (about, self._text, paths), count, room)
        for row in _explained_rows(rows, self._log):
            if (number := row["piece"]) not in left:
                continue
            if number not in answers:
                answers[number] = _Answers(row["texts"], self._annotator)
            if answers[number].add(row):
                yield number, self._finish(*left.pop(number), answers.pop(number))
        for number, (piece, path) in left.items():  # those without a text
            yield number, self._finish(piece, path, _Answers(0, self._annotator))

    def _finish(self, piece: Piece, path: Path, answers: _Answers) -> Report:
        self._annotator.take(_texts(piece.path, self._text), answers.values, answers.cut)
        return self._write(piece, path, lambda rows: None)


class _Answers:
    """What vLLM said so far of the texts of a piece, and of those without content."""

    def __init__(self, texts: int, annotator: VllmAnnotator) -> None:
        self._steps = annotator.tree.steps
        rows = texts + len(annotator.content_free) if texts else 0
        self.values = np.full((rows, annotator.tree.width), np.nan, np.float32)
        self.cut = np.zeros(rows, np.bool_)
        self._left = rows * len(self._steps)

    def add(self, row: Mapping[str, Any]) -> bool:
        """Take an answer, which may come again after a worker was lost; say whether it was the last."""
        cells = self.values[row["text"], self._steps[row["step"]].columns]
        self._left -= bool(np.isnan(cells).any())
        cells[:] = row["log_p"]
        self.cut[row["text"]] = row["cut"]
        return self._left == 0


class Questions:
    """Makes what vLLM is asked about the texts of pieces, by their numbers, in an actor of Ray."""

    def __init__(self, about: str, text: str, paths: Sequence[str]) -> None:
        known = json.loads(about)
        if (version := known["versions"]["silr"]) != __version__:
            where = f"on {socket.gethostname()}"
            raise InputError(f"silr {__version__} is installed {where}, the command is of {version}")
        self._annotator = VllmAnnotator.from_description(known)
        self._text, self._paths = text, paths

    def __call__(self, batch: Mapping[str, Any]) -> Iterator[pa.Table]:
        """Yield tables of questions."""
        for number in map(int, batch["number"]):
            texts = _texts(Path(self._paths[number]), self._text)
            asked = [*texts, *self._annotator.content_free] if texts else []
            for start in range(0, len(asked), CHUNK):
                yield self._questions(asked[start : start + CHUNK], start, {"piece": number, "texts": len(texts)})

    def _questions(self, texts: Sequence[str], start: int, of_piece: Mapping[str, int]) -> pa.Table:
        import pyarrow as pa

        prompts, cut = self._annotator.prompts(texts)
        rows = [
            {**of_piece, "text": start + place, "cut": cut[place], "step": number, "tokens": step.tokens}
            | {"tokenized_prompt": [*prompt, *step.beginning]}
            for place, prompt in enumerate(prompts)
            for number, step in enumerate(self._annotator.tree.steps)
        ]
        return pa.Table.from_pylist(rows)


def ask(row: Mapping[str, Any]) -> dict[str, Any]:
    """A question in the form of Ray's vLLM stage: one token, with the log-probabilities of those that are asked for."""
    sampling = {"max_tokens": 1, "temperature": 0.0, "detokenize": False}
    tokens = {"logprob_token_ids": [int(token) for token in row["tokens"]]}
    return {"tokenized_prompt": [int(token) for token in row["tokenized_prompt"]], "sampling_params": sampling | tokens}


def answer(row: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of an answer."""
    (said,) = row["logprobs"]
    kept = {name: row[name] for name in ("piece", "texts", "text", "cut", "step")}
    return {**kept, "log_p": [float(said[int(token)]["logprob"]) for token in row["tokens"]]}


def _texts(path: Path, column: str) -> list[str]:
    """The distinct texts of a piece that say something."""
    texts = corpus.text_column(read_piece(path, [column]), column, path, required=False)
    return [text for text in distinct(texts)[0] if text.strip()]


def _answered(
    ray: Any, annotator: VllmAnnotator, arguments: tuple[Any, ...], count: int, room: Mapping[str, float]
) -> Iterator[dict[str, Any]]:
    """The answers of vLLM, in any order."""
    llm = _llm_api()
    if "num_gpus" not in room:
        _check_processors()
    bundle = {"GPU": 1, "CPU": 1} if "num_gpus" in room else {"CPU": room["num_cpus"]}
    engine: dict[str, Any] = {"dtype": annotator.dtype, "trust_remote_code": annotator.trust_remote_code}
    engine["max_model_len"] = annotator.context
    engine |= {"enforce_eager": True, "disable_log_stats": True}  # one token is asked for: there is no loop to capture
    config = llm.vLLMEngineProcessorConfig(
        model_source=annotator.folder,
        engine_kwargs=engine,
        concurrency=count,
        batch_size=BATCH,
        placement_group_config={"bundles": [bundle]},
        log_engine_metrics=False,
        chat_template_stage=False,
        tokenize_stage=False,
        detokenize_stage=False,
    )
    light = {"num_cpus": 0}  # beside the engines, which may have all cores
    processor = llm.build_processor(
        config, preprocess=ask, postprocess=answer, preprocess_map_kwargs=light, postprocess_map_kwargs=light
    )
    n_pieces = len(arguments[-1])
    numbers = ray.data.from_items([{"number": number} for number in range(n_pieces)], override_num_blocks=n_pieces)
    pool = ray.data.ActorPoolStrategy(min_size=1, max_size=max(1, min(n_pieces, count)))
    asked = numbers.map_batches(Questions, fn_constructor_args=arguments, batch_size=1, compute=pool, num_cpus=0)
    yield from processor(asked).iter_rows()


def _llm_api() -> Any:
    """Ray's module of that name; InputError if it, or what it needs, is missing or too old."""
    with needs("vllm", "--engine vllm"):
        import ray.data.llm as llm

        if not hasattr(llm, "build_processor"):
            raise ImportError("a newer Ray, with ray.data.llm.build_processor")
    return llm


def _check_processors() -> None:
    """Raise InputError if vLLM on this machine is not built for processors; the cluster has nothing else."""
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        raise InputError(
            "the Ray cluster has no GPU, which this vLLM needs: add a machine with one, or give --engine ray"
        )


def _explained_rows(rows: Iterator[dict[str, Any]], log: Path) -> Iterator[dict[str, Any]]:
    with explained(log):
        yield from rows


@contextmanager
def explained(log: Path) -> Iterator[None]:
    """Raise what went wrong inside a process of Ray as one line; `log` has the words of vLLM's engine."""
    try:
        yield
    except Exception as error:
        traceback.print_exc()
        lines = [line.strip() for line in _COLOURS.sub("", str(error)).splitlines() if line.strip()]
        reason = next((line for line in reversed(lines) if _NAMED.match(line)), type(error).__name__)
        if reason.startswith(_REFUSED):
            raise InputError(reason.removeprefix(_REFUSED)) from error
        if _NO_ENGINE in reason and log.is_file():
            said = _COLOURS.sub("", log.read_text(encoding="utf-8", errors="replace"))
            reason = next(iter(_OF_ENGINE.findall(said)), reason)
        reason = reason.split(". ")[0]
        raise RuntimeError(f"the model does not fit: {reason}" if "memory" in reason else f"vLLM: {reason}") from error
