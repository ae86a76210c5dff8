"""The command `silr predict`: a run's classifier labels new texts, in a table or in the pieces of one."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from silr.cli.options import AsJson, Device, Engine, Quiet, Run, TableOrPieces, narrator
from silr.cli.warnings import warn

if TYPE_CHECKING:
    from silr.refine.predict import Predicted
    from silr.refine.predict_pieces import PredictedPieces


def predict(
    run: Run,
    table: TableOrPieces,
    output: Annotated[Path, Option("--output", "-o", help="Where the scored table goes; of pieces, a folder.")],
    features: Annotated[Path | None, Option(help=".npy with one row a text, made like the run's.")] = None,
    features_url: Annotated[str | None, Option(help="The run's embeddings server, at another address.")] = None,
    text_column: Annotated[str | None, Option(help="Column with the texts; default: the run's, or text.")] = None,
    scores: Annotated[bool, Option("--scores", help="Add refined_score_CLASS, the probability of each class.")] = False,
    device: Device = None,
    engine: Engine = "local",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Label new texts with a run's classifier.

    Where the table has the LLMs' columns that the run had, what they say of a text counts too; else the features alone.
    A row without text gets no label. An interrupted prediction goes on where it stopped: run the same command again.

    silr predict run/ texts/ -o scored/
    """
    from silr.io.engines import check_engine
    from silr.io.pieces import is_in_pieces

    silent = quiet or as_json
    say = narrator(silent)
    options: dict[str, Any] = {"text": text_column, "features": features, "features_url": features_url}
    options |= {"scores": scores, "device": device, "quiet": silent, "say": say}
    done: Predicted | PredictedPieces
    check_engine(engine, in_pieces=is_in_pieces(table))
    if is_in_pieces(table):
        from silr.refine.predict_pieces import predict_pieces

        done = pieced = predict_pieces(run, table, output, engine=engine, **options)
        counts = {"pieces": pieced.pieces, "resumed": pieced.resumed, "texts": pieced.texts}
    else:
        from silr.refine.predict import predict_table

        done = predicted = predict_table(run, table, output, **options)
        counts = {"texts": len(predicted.frame)}
    if done.caution and not quiet:
        warn(done.caution)
    if as_json:
        values = {"output": str(output), **counts, "labels": done.labels, "without_label": done.empty}
        print(json.dumps({**values, "warning": done.caution}))
    say(f"written: {output}")
