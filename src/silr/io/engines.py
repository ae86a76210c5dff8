"""What makes the pieces of a table: one worker in this process, or those of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from silr.errors import InputError
from silr.io.factories import Factory
from silr.io.pieces import Pieces, each_piece
from silr.io.ray_workers import work_on_ray
from silr.io.workers import Missing, Worker, work

ENGINES = ("local", "ray")
VLLM = "vllm"  # of `silr annotate`: a model that vLLM reads on a Ray cluster


def check_engine(engine: str, *, in_pieces: bool = True, known: Sequence[str] = ENGINES) -> None:
    """Raise InputError for an unknown engine, or one that a table in one file has no use for."""
    if engine not in known:
        raise InputError(f"the engine is one of {', '.join(known[:-1])} and {known[-1]}, not {engine!r}")
    if engine != "local" and not in_pieces:
        raise InputError(f"--engine {engine} shares out the pieces of a table: give a folder of parquet files")


def make_pieces(
    source: Pieces,
    output: str | Path,
    settings: object,
    make: Factory[Worker],
    name: str,
    *,
    engine: str = "local",
    has_model: bool = False,
    quiet: bool = True,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[int, str | None]:
    """Make the pieces that are not there yet; return how many were, and what workers said against the result.

    `make` makes a worker; for Ray its settings are values of JSON. `name` is that of the work, such as "Predicting";
    `has_model` says that a worker loads a language model. `settings` as of `silr.io.pieces.each_piece`.

    With the engine "vllm" the worker is a `silr.io.ray_workers.Driver`.

    Raises InputError as of `each_piece`, of the workers, and of `silr.io.ray_workers.work_on_ray`.
    """
    if engine != VLLM:
        check_engine(engine)
    caution: list[str | None] = [None]

    def run(missing: Missing) -> None:
        if engine != "local":
            about = {"has_model": has_model, "drives": engine == VLLM}
            caution[0] = work_on_ray(missing, make, name, output=Path(output), **about, quiet=quiet, say=say)
        else:
            caution[0] = work(missing, make, name, quiet=quiet, say=say)

    if resumed := each_piece(source, output, settings, run):
        say(f"{resumed:,} pieces were there already")
    return resumed, caution[0]
