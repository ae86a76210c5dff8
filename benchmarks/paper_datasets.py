"""The datasets of Asano et al. (NeurIPS 2025), and any other table with true labels and an LLM's labels.

Four are published with labels of several LLMs, a column each: `HikaruAsano/SILR-{safety,saroco,protein,fakenews}-
classification`. Two of them hold SHA-256 hashes in the place of the texts, which are taken from their public sources:

- fakenews: ``Fake.csv`` and ``True.csv`` of the ISOT dataset, each row as "# Title: ...", "# Content: ...";
- protein: the column ``smiles`` of jglaser/binding_affinity.

For the paper's other two kinds, a sentiment task and patents, or any task of your own, `load_any` reads a dataset on
the hub, a folder of one, or a single file, with your names of columns and classes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from silr.errors import InputError
from silr.io.corpus import read_table

CLASSES = {-1: "negative", 1: "positive"}
NEWS = "# Title: {title}\n# Content: {text}\n"


@dataclass(frozen=True)
class Published:
    """A dataset of the paper: where it is, and the column that stands for the text."""

    hub: str
    text: str = "text"
    source: str | None = None  # what the texts are taken from, if there are only hashes


PUBLISHED = {
    "safety": Published("HikaruAsano/SILR-safety-classification"),
    "saroco": Published("HikaruAsano/SILR-saroco-classification"),
    "protein": Published("HikaruAsano/SILR-protein-classification", "smiles_hash", "jglaser/binding_affinity"),
    "fakenews": Published("HikaruAsano/SILR-fakenews-classification", "text_hash", "Fake.csv True.csv"),
}


def load_published(
    name: str, llm: str | None = None, folder: str | Path | None = None, sources: Sequence[str | Path] = ()
) -> pd.DataFrame:
    """One of the paper's datasets with the labels of one LLM.

    Parameters
    ----------
    name : {"safety", "saroco", "protein", "fakenews"}
    llm : str, default None
        The column with that LLM's labels; None if there is only one.
    folder : str or Path, default None
        A copy of the dataset; None: from the hub.
    sources : sequence of str or Path
        For the hashed ones: the files with the texts; protein takes jglaser/binding_affinity from the hub without any.

    Returns
    -------
    DataFrame
        Columns text, truth and llm_label (missing where the LLM gave none); rows whose text cannot be found are left
        out.

    Raises
    ------
    InputError
        The dataset cannot be read, the LLM is none of its columns, or no text can be found.
    """
    about = PUBLISHED[name]
    frame = read_any(str(folder or about.hub))
    if about.source is None:
        return load_any(frame, text=about.text, truth="label", llm=llm, classes=CLASSES)
    if name == "fakenews" and len(sources) != 2:
        raise InputError("fakenews holds hashes: give the two files Fake.csv and True.csv of the ISOT dataset")
    known = by_hash(_news(sources) if name == "fakenews" else _smiles(sources or [about.source]))
    found = frame[about.text].map(known)
    if not found.notna().any():
        raise InputError(f"no text of {about.hub} is in {', '.join(map(str, sources)) or about.source}")
    frame = frame.assign(text=found).drop(columns=about.text)[found.notna()]
    return load_any(frame, text="text", truth="label", llm=llm, classes=CLASSES)


def load_any(
    table: str | Path | pd.DataFrame,
    *,
    text: str = "text",
    truth: str = "label",
    llm: str | None = None,
    classes: Mapping[Any, str] | None = None,
) -> pd.DataFrame:
    """Any table in the columns that silr reads.

    Parameters
    ----------
    table : str, Path or DataFrame
        A file, a folder of a dataset, a name on the hub, or the table itself.
    text, truth : str
        Names of columns.
    llm : str, default None
        The column with an LLM's labels; None: the only one that is left, if there is one.
    classes : mapping, default None
        The name of each class by its value in the table (a whole number or a string). What is no class is a missing
        label of the LLM, and a row without true label is left out. None: the values themselves.

    Raises
    ------
    InputError
        A column is missing, or it is not clear which holds the LLM's labels.
    """
    frame = table if isinstance(table, pd.DataFrame) else read_any(str(table))
    for name in (text, truth, *([llm] if llm else [])):
        if name not in frame.columns:
            raise InputError(f"there is no column {name!r}; there are {', '.join(map(str, frame.columns))}")
    if llm is None:
        others = [name for name in frame.columns if name not in (text, truth, "id") and "hash" not in str(name)]
        if len(others) > 1:
            raise InputError(f"which column holds the LLM's labels? There are {', '.join(map(str, others))}")
        llm = others[0] if others else None
    found = pd.DataFrame({"text": frame[text].astype(str), "truth": _named(frame[truth], classes)})
    if llm is not None:
        found["llm_label"] = _named(frame[llm], classes)
    return found[found["truth"].notna()].reset_index(drop=True)


def read_any(source: str) -> pd.DataFrame:
    """A file, a folder of a dataset, or a name on the hub, all splits one after another."""
    if Path(source).is_file():
        return read_table(source)
    from datasets import load_dataset

    try:
        parts = load_dataset(source)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"cannot read the dataset {source}: {reason}; give a folder with a copy of it") from error
    return pd.concat([part.to_pandas() for part in parts.values()], ignore_index=True)


def by_hash(texts: Iterable[str]) -> dict[str, str]:
    """Texts by the SHA-256 of their UTF-8 form, in hexadecimal."""
    return {hashlib.sha256(text.encode()).hexdigest(): text for text in texts}


def _news(files: Sequence[str | Path]) -> Iterable[str]:
    for file in files:
        frame = pd.read_csv(file, keep_default_na=False, dtype=str)
        yield from (
            NEWS.format(title=title, text=text) for title, text in zip(frame["title"], frame["text"], strict=True)
        )


def _smiles(sources: Sequence[str | Path]) -> Iterable[str]:
    for source in sources:
        yield from read_any(str(source))["smiles"].astype(str).unique()


def _named(values: pd.Series[Any], classes: Mapping[Any, str] | None) -> pd.Series[Any]:
    if classes is None:
        return values
    names = {str(value): name for value, name in classes.items()}

    def name_of(value: Any) -> str | None:
        whole = isinstance(value, float) and value.is_integer()
        return names.get(str(int(value)) if whole else str(value))

    return values.map(name_of)
