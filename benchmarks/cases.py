"""The cases that are compared: a table, the labels of one LLM or of several, and a kind of features.

FOLDER holds ``NAME.csv.gz`` with the columns text, truth, llm_label and llm_score_<class>, and ``NAME.features.npy``
with the annotator's hidden states (TF-IDF alone is used where that file is missing). ``FOLDER/strong/NAME.csv.gz`` has
text, truth and one column llm_label_<LLM> for each LLM, empty where the LLM named no class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from silr.io.corpus import features_path, read_table, table_stem

TABLES = ["movie", "amazon", "nyt", "tweets", "laroseda", "corona", "offensive", "nsmc", "liar", "bace"]
NO_SENTENCES = {"nsmc", "bace"}  # MiniLM reads neither Korean nor SMILES
PREFIX = "llm_label_"  # of the label columns of a table with several LLMs

Features = Literal["states", "minilm", "tfidf"]  # dense features, TF-IDF beside them; or TF-IDF alone
Group = Literal["weak", "labels-only", "strong", "several"]

GROUPS: dict[Group, str] = {
    "weak": "weak LLM, its scores and hidden states",
    "labels-only": "the same weak LLM, its labels only",
    "strong": "strong LLMs, labels only",
    "several": "several strong LLMs together, labels only",
}
FEATURES: dict[Features, str] = {
    "states": "hidden states and TF-IDF",
    "minilm": "sentence embeddings (MiniLM) and TF-IDF",
    "tfidf": "TF-IDF alone",
}


@dataclass(frozen=True)
class Case:
    """One case.

    Attributes
    ----------
    name : str
        Of its file of results.
    table : Path
    columns : tuple of str
        The columns of labels; more than one are used together.
    features : str
        Of `FEATURES`.
    group : str
        Of `GROUPS`.
    """

    name: str
    table: Path
    columns: tuple[str, ...]
    features: Features
    group: Group

    @property
    def has_scores(self) -> bool:
        return self.group == "weak"

    @property
    def has_test_part(self) -> bool:
        """Tables with labels of strong LLMs are too small for one."""
        return self.group in ("weak", "labels-only")


def find_cases(folder: Path, groups: Sequence[Group], tables: Sequence[str] | None) -> list[Case]:
    """The cases of the chosen groups and tables (None: all that the folder has)."""
    found: list[Case] = []
    if "weak" in groups:
        found += weak_cases(folder, tables)
    if "labels-only" in groups:
        for case in weak_cases(folder, tables):
            if case.name not in NO_SENTENCES:
                found.append(Case(f"{case.name}.minilm", case.table, case.columns, "minilm", "labels-only"))
    for path in sorted((folder / "strong").glob("*.csv.gz")) if {"strong", "several"} & set(groups) else []:
        if tables is None or table_stem(path) in tables:
            found += [case for case in strong_cases(path) if case.group in groups]
    return found


def weak_cases(folder: Path, tables: Sequence[str] | None) -> list[Case]:
    paths = {name: folder / f"{name}.csv.gz" for name in (TABLES if tables is None else tables)}
    return [weak_case(path) for path in paths.values() if path.exists()]


def weak_case(path: Path) -> Case:
    """A table with an LLM's scores."""
    features: Features = "states" if features_path(path).exists() else "tfidf"
    return Case(table_stem(path), path, ("llm_label",), features, "weak")


def strong_cases(path: Path) -> list[Case]:
    """Each LLM by itself with both kinds of features, and all of them together."""
    table, columns = table_stem(path), label_columns(read_table(path))
    kinds: tuple[Features, ...] = ("minilm", "tfidf")
    found = [
        Case(f"{table}.{column.removeprefix(PREFIX)}.{kind}", path, (column,), kind, "strong")
        for column in columns
        for kind in kinds
    ]
    if len(columns) > 1:
        found.append(Case(f"{table}.all.minilm", path, columns, "minilm", "several"))
    return found


def label_columns(frame: pd.DataFrame) -> tuple[str, ...]:
    return tuple(str(name) for name in frame.columns if str(name).startswith(PREFIX))
