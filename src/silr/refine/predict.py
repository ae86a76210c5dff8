"""Labels for a table of new texts by a run's classifier: what the command `silr predict` does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from silr.io.chunks import kept_in
from silr.io.corpus import features_path, read_table, text_column, text_counts, write_table
from silr.io.files import check_writable
from silr.io.hub_tables import local_table
from silr.refine.predictor import REFINED_MISSING, Predictor, reads_file
from silr.refine.run import Run

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Predicted:
    """The table as it was written, rows a class, rows without text or label, and what speaks against the labels."""

    frame: pd.DataFrame
    labels: dict[str, int]
    empty: int
    caution: str | None


def predict_table(
    run: str | Path,
    table: str | Path,
    output: str | Path,
    *,
    text: str | None = None,
    features: str | Path | None = None,
    features_url: str | None = None,
    scores: bool = False,
    device: str | None = None,
    quiet: bool = True,
    say: Callable[[str], None] = lambda line: None,
) -> Predicted:
    """Label new texts with a run's classifier: adds ``refined_label`` and ``refined_score``.

    Where the table has the LLMs' columns that the run had, what they say counts too. A row without text gets no label;
    then there is a column ``refined_missing`` that says so. What an encoder or a fine-tuned model finds is kept in
    ``OUTPUT.predict.partial/`` until the table is written: an interrupted call goes on from there.

    Parameters
    ----------
    run, table, output : str or Path
    text : str, default None
        The column with the texts. None: the one that the run was made from, or "text".
    features : str or Path, default None
        A ``.npy`` made like the run's, see `silr.io.feature_rows`. None: for a run on the annotator's hidden states the
        file beside the table if there is one, else the run's own way to compute them.
    features_url : str, default None
        Address of the server of the run's embeddings (``api:MODEL``), if it is another one now.
    scores : bool, default False
        Add ``refined_score_<class>``, the probability of each class.
    device : str, default None
    quiet : bool, default True
        Show no progress.
    say : callable
        Called with lines that the user should read.

    Raises
    ------
    InputError
        `run` is not a finished run or its model has changed, the output cannot be written, or the table or the features
        cannot be used.
    """
    output, table = Path(output), local_table(table)
    features_path(output)  # refuses an unknown suffix before any work
    check_writable(output)
    predictor = Predictor(run, text=text, features_url=features_url, scores=scores, device=device, quiet=quiet, say=say)
    frame = read_table(table)
    texts = text_column(frame, predictor.text_of(list(frame.columns)), table)
    say(str(text_counts(texts)))
    if empty := sum(not line.strip() for line in texts):
        say(f"{empty:,} without text: no label, as the column {REFINED_MISSING} says")
    beside = features_path(table)
    if features is None and reads_file(Run(run)) and beside.exists():
        say(f"features: {beside}")
        features = beside
    given = None if features is None else partial(predictor.features_of, features)
    with kept_in(output.with_name(f"{output.name}.predict.partial")) as folder:
        labels = predictor.add_labels(frame, table, texts, given, folder)
        write_table(frame, output)
    return Predicted(frame, predictor.count(labels), empty, predictor.caution)
