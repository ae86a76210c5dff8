"""Datasets of the Hugging Face hub as tables: `hf://datasets/OWNER/NAME`, fetched once into the user's cache.

    hf://datasets/OWNER/NAME[@REVISION][/SPLIT | /CONFIGURATION/SPLIT | /PATH/TO/FILE]

A split becomes a parquet file, or a folder of them where it is large. Labels that the dataset keeps as numbers get
their names. A file is fetched as it is.
"""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from silr.errors import InputError
from silr.extras import needs
from silr.io.cache import cache_folder, made_once
from silr.io.files import atomic_write, make_folder
from silr.io.hub import HubAwayError, hub_errors
from silr.io.progress import progress

# a Path has one slash where the address has two
ADDRESS = re.compile(r"hf:/+datasets/([\w.-]+/[\w.-]+)(?:@([^/]+))?(?:/(.*?))?/*")
FORM = "hf://datasets/OWNER/NAME, with @REVISION and /SPLIT after it if they are wanted"
ONLY = "only"  # name in the cache of a dataset's only split
PIECE_ROWS = 1_000_000  # of a file; a split of more is a folder of several
BATCH_ROWS = 20_000
PATIENCE = 10.0  # seconds for the hub to say what it has


@dataclass(frozen=True)
class HubTable:
    """An address of a table on the hub."""

    dataset: str  # OWNER/NAME
    revision: str | None
    inside: str  # split, configuration and split, or path of a file; "" for the only split

    def __str__(self) -> str:
        revision = f"@{quote(self.revision, safe='')}" if self.revision else ""
        return f"hf://datasets/{self.dataset}{revision}{self.inside and f'/{self.inside}'}"


def hub_table(path: str | Path) -> HubTable | None:
    """The address that a path is; None of a path on this machine. InputError if it begins like an address only."""
    text = path if isinstance(path, str) else path.as_posix()
    if not text.startswith("hf:/"):
        return None
    match = ADDRESS.fullmatch(text)
    if match is None or ".." in text.split("/"):
        raise InputError(f"{text} is no dataset of the hub; give {FORM}")
    dataset, revision, inside = match.groups()
    return HubTable(dataset, revision and unquote(revision), inside or "")


def local_table(path: str | Path) -> Path:
    """Where a table lies on this machine: a path as it is, a dataset of the hub in the cache, fetched if need be.

    Raises InputError if the hub does not have it, or does not answer.
    """
    table = hub_table(path)
    return Path(path) if table is None else _fetched(table)


def address_of(path: str | Path) -> str | None:
    """The address of a table in the cache, with its commit; None of other paths."""
    parts = _parts(path)
    if len(parts) < 3:
        return None
    inside = "" if parts[2] == ONLY else unquote(parts[2])
    return str(HubTable(parts[0].replace("--", "/", 1), parts[1], inside))


def recorded(table: str | Path, folder: Path) -> str:
    """What a record in a folder calls a table: its address on the hub, or its path seen from there."""
    return address_of(table) or os.path.relpath(table, folder)


def table_of_record(folder: Path, name: str) -> Path:
    """Where a recorded table lies, if it is still there; nothing is fetched."""
    table = hub_table(name)
    if table is None:
        return folder / name
    return _inside(_folder(table) / str(table.revision) / (quote(table.inside, safe="") or ONLY))


def _parts(path: str | Path) -> tuple[str, ...]:
    """Parts of a path below the cache of datasets; none of other paths."""
    path, root = Path(path).absolute(), _root().absolute()
    return path.relative_to(root).parts if path.is_relative_to(root) else ()


@cache
def _fetched(table: HubTable) -> Path:
    commit = _commit(table)
    folder = _folder(table) / commit / (quote(table.inside, safe="") or ONLY)
    with hub_errors(f"cannot read {table}"), _quiet():
        made_once(folder, lambda draft: _fetch(table, commit, draft))
    return _inside(folder)


def _inside(folder: Path) -> Path:
    """The only file of a folder, or the folder."""
    files = list(folder.iterdir()) if folder.is_dir() else []
    return files[0] if len(files) == 1 and files[0].is_file() else folder


def _root() -> Path:
    return cache_folder() / "datasets"


def _folder(table: HubTable) -> Path:
    return _root() / table.dataset.replace("/", "--", 1)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the remarks and bars of `datasets`."""
    import datasets

    log = logging.getLogger("datasets")
    level, bars = log.level, datasets.utils.are_progress_bars_disabled()
    log.setLevel(logging.ERROR)
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        log.setLevel(level)
        if not bars:
            datasets.enable_progress_bars()


@cache
def _commit(table: HubTable) -> str:
    """The commit that a revision is now; where the hub does not answer, the one that it was when it was read last."""
    with needs("hub", str(table)):
        import datasets  # noqa: F401
        from huggingface_hub import HfApi
    if table.revision and re.fullmatch(r"[0-9a-f]{40}", table.revision):
        return table.revision
    known = _folder(table) / f"{quote(table.revision or 'main', safe='')}.commit"
    try:
        with hub_errors(f"cannot read {table}"):
            info = HfApi().dataset_info(table.dataset, revision=table.revision, timeout=PATIENCE)
    except HubAwayError:
        if not known.is_file():
            raise
        commit = known.read_text().strip()
        warnings.warn(f"the hub does not answer: {table} is read as it was at {commit[:7]}", stacklevel=2)
        return commit
    commit = str(info.sha)
    make_folder(known.parent)
    with atomic_write(known) as file:
        file.write(commit.encode())
    return commit


def _fetch(table: HubTable, commit: str, draft: Path) -> None:
    from datasets import get_dataset_config_names
    from huggingface_hub import HfApi, HfFileSystem

    files = HfApi().list_repo_files(table.dataset, repo_type="dataset", revision=commit)
    wanted = [table.inside] if table.inside in files else []
    configurations: list[str] = []
    if not wanted:
        configurations = get_dataset_config_names(table.dataset, revision=commit)
    if not wanted and table.inside and table.inside.partition("/")[0] not in configurations:
        wanted = [name for name in files if name.startswith(f"{table.inside}/") and name.endswith(".parquet")]
    for name in wanted:
        target = draft / (Path(name).name if name == table.inside else name.removeprefix(f"{table.inside}/"))
        target.parent.mkdir(parents=True, exist_ok=True)
        HfFileSystem().get_file(f"datasets/{table.dataset}@{commit}/{name}", str(target))
    if not wanted:
        _write(table, _split(table, commit, configurations), draft)


def _split(table: HubTable, commit: str, configurations: list[str]) -> Any:
    """One split as a stream of rows."""
    from datasets import load_dataset

    first, _, rest = table.inside.partition("/")
    named = first if first in configurations else None
    if named is None and len(configurations) > 1 and "default" not in configurations:
        known = f"{_plain(table)}/{configurations[0]}"
        raise InputError(f"{table} has the configurations {', '.join(configurations)}; add one: {known}")
    splits = load_dataset(table.dataset, named, revision=commit, streaming=True)
    wanted = rest if named else table.inside
    if not wanted and len(splits) == 1:
        return next(iter(splits.values()))
    if wanted not in splits:
        known = f"{_plain(table)}{f'/{named}' if named else ''}/{next(iter(splits))}"
        what = f"no split or file {wanted!r}" if wanted else "several splits"
        raise InputError(f"{table} has {what}: there are {', '.join(splits)}; as in {known}")
    return splits[wanted]


def _plain(table: HubTable) -> HubTable:
    return HubTable(table.dataset, table.revision, "")


def _write(table: HubTable, split: Any, draft: Path) -> None:
    """Write a stream of rows as parquet files of so many rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names, schema, rows, number = _class_names(split.features), None, 0, 0
    name, writer = "-".join([table.dataset.partition("/")[2], *filter(None, table.inside.split("/"))]), None
    try:
        with progress("Fetching", 1, "rows", state=str(table)) as advance:
            for batch in _batches(split):
                batch = _named(batch, names).replace_schema_metadata()
                schema = schema or batch.schema
                if writer is None or rows >= PIECE_ROWS:
                    if writer is not None:
                        writer.close()
                    suffix = f"-{number:05d}" if number else ""
                    writer, rows = pq.ParquetWriter(draft / f"{name}{suffix}.parquet", schema), 0
                    number += 1
                writer.write_table(batch.cast(schema))
                rows += len(batch)
                advance(0, 0, f"{(number - 1) * PIECE_ROWS + rows:,} rows of {table}")
    except (pa.ArrowException, ValueError) as error:
        raise InputError(f"cannot read {table}: its files have different columns ({error})") from error
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        raise InputError(f"{table} has no rows")


def _batches(split: Any) -> Iterator[Any]:
    """Tables of Arrow; rows of one kind are read together."""
    return iter(split.with_format("arrow").iter(batch_size=BATCH_ROWS))


def _class_names(features: Any) -> dict[str, list[str]]:
    """Names of the classes, by column, of labels that are kept as numbers."""
    return {name: list(kind.names) for name, kind in (features or {}).items() if type(kind).__name__ == "ClassLabel"}


def _named(batch: Any, names: dict[str, list[str]]) -> Any:
    """A table whose labels are names; -1 is no label."""
    import pyarrow as pa

    for column in names.keys() & set(batch.column_names):
        codes = batch[column].to_pylist()
        words = [names[column][code] if code is not None and code >= 0 else None for code in codes]
        batch = batch.set_column(batch.column_names.index(column), column, pa.array(words, pa.string()))
    return batch
