"""Table that a person labels: its texts, classes and strata, and its columns of gold labels.

`gold` is the label and `gold_weight` for how many texts it speaks. Where texts are drawn in rounds two more columns
tell how each was drawn, so that a later session can go on: `gold_draw`, 0 by strata, else the number of the adaptive
draw, empty where the label came from elsewhere; and `gold_probability` of an adaptive draw. Where several people label,
each has a column `vote_NAME`. A text then has one gold label and one weight, however many people labelled it. A text on
which they tie has no gold label, and keeps what tells how it was drawn.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from silr.errors import InputError
from silr.io import corpus
from silr.io.annotator_columns import label_columns, read_annotators, scored_classes, scores_of
from silr.io.beside import carry
from silr.io.class_names import ClassNames, of_table
from silr.io.codebook import Codebook, check_gold, shown_rows
from silr.io.codebook_table import classes_of
from silr.io.files import os_errors
from silr.io.hub_tables import address_of
from silr.io.pieced_table import Frame, PiecedTable, write_changed
from silr.io.pieces import check_output, has_pieces, is_in_pieces
from silr.label.adaptive_draw import AdaptiveDraw
from silr.label.draw import make_strata
from silr.label.draw_weights import DrawHistory
from silr.label.imports import Imported, import_gold
from silr.label.people import People
from silr.stats.annotator_evidence import Annotator, majority
from silr.stats.gold_accuracy import Accuracy, accuracy_from_gold
from silr.stats.priors import priors_from_gold

GOLD, WEIGHT, DRAW, PROBABILITY = "gold", "gold_weight", "gold_draw", "gold_probability"
BY_STRATA = 0  # in column `gold_draw`
SAME = 1e-6  # relative difference of weights that are the same, after a file's rounding
WORDS_OF_PIECES = "string[pyarrow]"  # also where a piece has none


class GoldTable:
    """A table with labels of an LLM, read once and written with the gold labels.

    It is written to `output`, whose gold is read if it exists; None: into `table` itself. Without `classes` they are
    those of the score columns, else those that occur. Without a column ``llm_label`` the labels are what most of the
    columns ``llm_label_NAME`` say. With `rounds`, `save` writes how each text was drawn. Texts that are examples of the
    `codebook`, or were examples in an LLM's prompt, are `barred` from being drawn.

    An InputError says that the table cannot be used, that `output` holds other texts, that its gold was drawn in
    rounds and `rounds` is False, or that a text with gold is an example of the codebook.
    """

    def __init__(
        self,
        table: Path,
        output: Path | None = None,
        classes: Sequence[str] | None = None,
        text: str = "text",
        label: str = "llm_label",
        rounds: bool = False,
        codebook: Codebook | None = None,
    ) -> None:
        if output is None and (address := address_of(table)):
            raise InputError(f"{address} is on the hub: give --output, a table of this machine for the gold labels")
        self.table, self.output = table, (output or table)
        self._elsewhere = self.output.resolve() != table.resolve()
        self.text_name = text
        self._frame = self._open(output)
        self._read_as = _signature(table)
        self.texts = corpus.text_column(self._frame, text, table)
        self.hash = corpus.corpus_hash(self.texts)
        if classes and len(set(classes)) < max(2, len(classes)):
            raise InputError("--classes must name at least two classes, each once")
        columns = [label] if label in self._frame.columns or label != corpus.LABEL else label_columns(self._frame)
        if codebook is not None:
            classes = classes_of(codebook, self._frame, columns, table, classes)
        self.named = bool(classes)
        if len(columns) > 1:
            self._read_several(columns, classes)
        else:
            self._read_one(columns[0], classes)
            self.llm_codes = {columns[0]: self.codes}
        self.strata = make_strata(self.codes, len(self.classes), self.scores)
        self.gold = self._read_gold(self._frame, table)  # class numbers by row, as they were in the file
        examples = codebook.example_rows(self.texts) if codebook else []
        self.barred = frozenset({*examples, *shown_rows(table, self.texts)})
        self.codebook = codebook
        self.people = self._read_people(self._frame, table)
        self.history = DrawHistory(rounds=rounds, barred=self.barred)  # how these were drawn, as far as the file tells
        newest = self._frame
        read_draws(self._frame, table, self.gold, self.history, self.people.rows())
        if self._elsewhere and _is_written(self.output):
            newest = self._same_texts(self.output)
            gold, people = self._read_gold(newest, self.output), self._read_people(newest, self.output)
            self.gold |= gold
            self.people.join(people)
            read_draws(newest, self.output, gold, self.history, people.rows())
        check_gold(codebook, self.texts, self.gold.keys() | self.people.rows(), self.output)
        self.weighted = WEIGHT in newest.columns  # whether the file had weights
        self._marked = rounds or DRAW in newest.columns
        if rounds:
            self._check_strata(newest)
        elif self.history.adaptive:
            raise InputError(f"the gold labels of {self.output} were drawn in rounds: go on without --draw strata")

    def _open(self, output: Path | None) -> Frame:
        """The table, once it is known that `output` can be written."""
        if output is not None and not is_in_pieces(self.table):
            corpus.table_stem(self.output)  # refuses an unknown suffix before any work
        if not self.output.resolve().parent.is_dir():
            raise InputError(f"the folder {self.output.parent} does not exist")
        frame = corpus.open_table(self.table)
        if isinstance(frame, PiecedTable):
            if output is None:
                raise InputError(f"{self.table} is a table in pieces, which stays as it is: give -o FOLDER, a new one")
            check_output(frame.pieces, output)
        return frame

    def _read_one(self, column: str, classes: Sequence[str] | None) -> None:
        """Codes (n,) of the LLM's labels, -1 where missing, and its scores (n, K) or None."""
        scored = scored_classes(self._frame, column)
        labels = corpus.label_column(self._frame, column, self.table)
        encode = partial(corpus.encode_labels, wording=of_table(self.table), one_class=True, named=self.named)
        self.codes, self.classes = encode(labels, classes or scored or None, column)
        self.scores = None
        if not scored or set(scored) == set(self.classes):  # else --classes names more than the LLM scored
            self.scores = scores_of(self._frame, column, self.codes, self.classes, self.table)

    def _read_several(self, columns: Sequence[str], classes: Sequence[str] | None) -> None:
        """The strata are what most of the LLMs say."""
        read = read_annotators(self._frame, self.table, columns, classes=classes or None)
        self.classes, self.scores = read.classes, None
        self.llm_codes = dict(zip(columns, read.codes, strict=True))
        annotators = [Annotator(codes.astype(np.int16)) for codes in read.codes]
        self.codes = majority(annotators, len(self.classes)).astype(np.int64)

    @property
    def columns(self) -> set[str]:
        """Names of the columns."""
        return set(map(str, self._frame.columns))

    def ids(self) -> Sequence[str | None]:
        """The column ``id``, None for each text without one."""
        return corpus.id_column(self._frame, self.table)

    def code(self, name: str) -> int:
        """The number of the class that a name means, -1 if it is none."""
        return ClassNames(self.classes, named=self.named).code(name)

    def imported(self, path: Path, taken: Collection[int]) -> Imported:
        """Read labels of the table's texts that people gave elsewhere; rows that are taken keep theirs."""
        return import_gold(path, self.texts, self.ids(), self.classes, taken, self.text_name, self.columns)

    def accuracy(
        self, gold: Mapping[int, int], weights: Mapping[int, float], probabilities: NDArray[np.floating] | None = None
    ) -> Accuracy | None:
        """Estimate how often the LLM's labels are right; None without a gold label that judges.

        Gold labels and their weights are by row. With a model's `probabilities` (n, K) the estimate is that of
        `silr.stats.gold_accuracy`, else of `silr.stats.priors`.
        """
        rows = np.array([row for row, weight in weights.items() if weight and self.codes[row] >= 0], dtype=np.int64)
        if not len(rows):
            return None
        codes, weight = np.full(len(self.codes), -1), np.zeros(len(self.codes))
        codes[rows] = [gold[row] for row in rows.tolist()]
        weight[rows] = [weights[row] for row in rows.tolist()]
        if probabilities is not None:
            return accuracy_from_gold(self.codes, codes, weight, probabilities)
        known = self.codes >= 0
        priors = priors_from_gold(self.codes[known], codes[known], len(self.classes), weight[known])
        low, high = priors.accuracy_interval.tolist()
        return Accuracy(priors.accuracy, (low, high))

    def check_unchanged(self) -> None:
        """Refuse to go on from votes that another process has written over since they were read."""
        if _signature(self.table) != self._read_as:
            raise InputError(f"{self.table} has changed while it was read: run the command again")

    def refresh(self) -> None:
        """Read what was adjudicated meanwhile, in another session: it stands above all votes."""
        if _signature(self.table) != self._read_as:
            self._frame = self._same_texts(self.table)
            self._read_as = _signature(self.table)
            self.people.adjudicated = self._read_people(self._frame, self.table).adjudicated
        if self._elsewhere and _is_written(self.output):
            self.people.adjudicated |= self._read_people(self._same_texts(self.output), self.output).adjudicated

    def save(self, gold: Mapping[int, int], skipped: Collection[int] = ()) -> None:
        """Write the table with its columns of gold labels, atomically; InputError if its texts are others by now.

        Other columns that another program has changed are taken as they are now. `gold` has class numbers by row, and
        `skipped` rows that were drawn and skipped, or have no gold label though people labelled them. The votes are
        those of `people`.
        """
        if _signature(self.table) != self._read_as:
            self._frame = self._same_texts(self.table)
        frame = self._frame if isinstance(self._frame, PiecedTable) else self._frame.copy(deep=False)
        weights = self.history.weights(self.strata, gold, skipped)
        labels = {row: self.classes[gold[row]] for row in weights}
        answered = gold.keys() | self.people.rows()
        no_weight = {row: 0.0 for row in self.history.unjudging if row in answered}
        columns: dict[str, Mapping[int, object]] = {GOLD: labels, WEIGHT: no_weight | weights}
        if self._marked:
            drawn = {row: draw for row, draw in self.history.adaptive.items() if row in answered}
            elsewhere = self.history.unjudging | self.history.undrawn
            by_strata = {row: BY_STRATA for row in sorted(answered) if row not in elsewhere and row not in drawn}
            columns[DRAW] = by_strata | {row: draw.number for row, draw in drawn.items()}
            columns[PROBABILITY] = {row: draw.probability for row, draw in drawn.items()}
        columns |= self.people.columns(self.classes, frame)
        kinds = {WEIGHT: "float", DRAW: "Int64", PROBABILITY: "float"}
        words = WORDS_OF_PIECES if isinstance(frame, PiecedTable) else "object"

        def add(part: pd.DataFrame, rows: slice) -> None:
            for name, values in columns.items():
                cells = [values.get(row) for row in range(rows.start, rows.stop)]
                part[name] = pd.Series(cells, index=part.index, dtype=kinds.get(name, words))

        write_changed(frame, self.output.resolve(), add, command="label")
        if isinstance(frame, PiecedTable):  # whose copy is the only one with gold labels
            carry(self.table, self.output)
        if not self._elsewhere:
            self._frame = frame
            self._read_as = _signature(self.table)

    def _read_gold(self, frame: Frame, path: Path) -> dict[int, int]:
        labels = corpus.label_column(frame, GOLD, path, required=False)
        codes = ClassNames(self.classes, named=self.named).codes(labels, GOLD, of_table(path))
        return {row: int(codes[row]) for row in np.flatnonzero(codes >= 0).tolist()}

    def _read_people(self, frame: Frame, path: Path) -> People:
        return People.read(frame, self.classes, path, self.named)

    def _check_strata(self, frame: Frame) -> None:
        """Take weights that are no draw by strata for labels from elsewhere: nothing tells how to go on with them."""
        if DRAW in frame.columns or WEIGHT not in frame.columns:
            return
        weights = corpus.weight_column(frame, WEIGHT, self.output, np.zeros(len(frame), dtype=bool))
        assert weights is not None
        rows = [row for row in self.gold if row not in self.history.undrawn | self.history.unjudging]
        expected = self.history.weights(self.strata, rows)
        if not all(np.isclose(weights[row], weight, rtol=SAME) for row, weight in expected.items()):
            self.history.undrawn |= set(rows) | (self.people.rows() - self.gold.keys())

    def _same_texts(self, path: Path) -> Frame:
        frame = corpus.open_table(path)
        if corpus.corpus_hash(corpus.text_column(frame, self.text_name, path)) != self.hash:
            raise InputError(f"{path} holds other texts than {self.table} held; give another -o")
        return frame


def read_draws(
    frame: Frame, path: Path, gold: Collection[int], history: DrawHistory, voted: Collection[int] = ()
) -> None:
    """Add what a table tells of its gold labels to a history; InputError if a weight or probability is none.

    So it does of texts in `voted`, which may have no gold label yet, and then no weight either.
    """
    rows = {*gold, *voted}
    for known in (history.unjudging, history.undrawn):
        known -= rows
    for row in rows & history.adaptive.keys():
        del history.adaptive[row]
    nothing = np.zeros(len(frame), dtype=bool)
    weight = corpus.weight_column(frame, WEIGHT, path, nothing)
    if weight is None:
        history.undrawn |= rows
        return
    history.unjudging |= {row for row in rows if weight[row] == 0} | {row for row in gold if not weight[row] > 0}
    if DRAW not in frame.columns:
        return
    numbers = corpus.weight_column(frame, DRAW, path, nothing)
    probabilities = corpus.weight_column(frame, PROBABILITY, path, nothing)
    assert numbers is not None
    for row in sorted(rows - history.unjudging):
        number = numbers[row]
        if number >= 1:
            p = np.nan if probabilities is None else probabilities[row]
            if not 0 < p <= 1 or number != int(number):
                raise InputError(
                    f"{path}, row {row + 1}: {DRAW} {number:g} needs a {PROBABILITY} above 0 and at most 1; clear "
                    f"{DRAW} where it is not known, and the label will train and not judge"
                )
            history.adaptive[row] = AdaptiveDraw(int(number), float(p))
        elif number != BY_STRATA:
            history.undrawn.add(row)


def _is_written(output: Path) -> bool:
    """Whether there is a table already: a folder may be empty, or was to be written when a process was killed."""
    return has_pieces(output) if output.is_dir() else output.exists()


def _signature(path: Path) -> object:
    if is_in_pieces(path):
        return corpus.table_hash(path)
    with os_errors(f"cannot read {path}"):
        status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size
