"""Which text each row of a features file is of: a table that was sorted, filtered or joined since finds its rows again.

Beside ``labelled.features.npy`` lies ``labelled.features.texts.safetensors``: one key a row, and the hash of the file
that they belong to. A file of other origin has no such record and is read row for row.
"""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from silr.errors import InputError
from silr.io.corpus import check_finite, file_hash, load_features, open_features
from silr.io.files import atomic_write

Keys = NDArray[np.uint64]

KEYS, OF = "texts", "features_sha256"
EMPTIED_TEXTS = ("NA", "N/A", "n/a", "None", "null", "NULL", "nan", "NaN", "<NA>", "#N/A")  # texts that pandas empties
BYTES = 16  # of a key: two texts of a billion share one with probability 1e-21


class Match(NamedTuple):
    """The rows of a features file that belong to the texts of a table.

    `rows`, shape (n,), is None where they are taken as they are; `length` counts the rows of the file, and `words` tell
    the user how they were found.
    """

    rows: NDArray[np.int64] | None
    length: int
    words: str


def record_path(features: str | Path) -> Path:
    """Return where the record of a features file lies."""
    return Path(features).with_suffix(".texts.safetensors")


def write_record(features: str | Path, texts: Sequence[str]) -> None:
    """Note of which texts the rows of a features file are, once the file is whole."""
    with atomic_write(record_path(features)) as file:
        file.write(save({KEYS: text_keys(texts)}, {OF: _hash(Path(features))}))


def has_record(features: str | Path) -> bool:
    """Whether it is known of which texts the rows of a features file are."""
    return _read(Path(features)) is not None


def text_keys(texts: Sequence[str]) -> Keys:
    """One key a text, shape (n, 2), whatever line ends and blanks around a text, which programs change in passing."""
    digests = [blake2b(_plain(text).encode("utf-8", "surrogatepass"), digest_size=BYTES).digest() for text in texts]
    return np.frombuffer(b"".join(digests), np.uint64).reshape(len(digests), 2)


def match(features: str | Path, texts: Sequence[str]) -> Match:
    """Find the rows of texts by the file's record, without one row for row; InputError if it lacks a text."""
    path = Path(features)
    known = _read(path)
    if known is None:
        return Match(None, len(texts), f"{path.name} is read row for row: nothing says of which texts its rows are")
    wanted = text_keys(texts)
    if wanted.shape == known.shape and (wanted == known).all():
        return Match(None, len(texts), "")
    packed = known.tobytes()
    rows = {packed[at * BYTES : (at + 1) * BYTES]: at for at in reversed(range(len(known)))}
    positions = np.array([rows.get(key.tobytes(), -1) for key in wanted], np.int64)
    blank = np.array([not _plain(text) for text in texts])
    if (blank & (positions < 0)).any():
        blanks = [text_keys([word]).tobytes() for word in EMPTIED_TEXTS]
        positions[blank & (positions < 0)] = next((rows[key] for key in blanks if key in rows), -1)
    if (gone := np.flatnonzero(positions < 0)).size:
        raise InputError(
            f"{path} was made from other texts: it has no row for {gone.size:,} of {len(texts):,}, the first of "
            f"them {_excerpt(texts[gone[0]])}; annotate this table again, or choose other --features"
        )
    message = (
        f"rows of {path.name} are matched by text: the table has other rows, or another order, than it was made for"
    )
    return Match(positions, len(known), message)


def write_keys(features: str | Path, keys: Keys) -> None:
    """Write the record of a features file whose rows are of the texts with these keys."""
    with atomic_write(record_path(features)) as file:
        file.write(save({KEYS: keys}, {OF: _hash(Path(features))}))


def features_of_texts(features: str | Path, texts: Sequence[str]) -> NDArray[np.number]:
    """The rows of a features file that belong to texts, shape (n, d); a memory map where it is as it is."""
    matched = match(features, texts)
    matrix = load_features(features, matched.length)
    return matrix if matched.rows is None else np.asarray(matrix[matched.rows])


def features_of_part(features: str | Path, texts: Sequence[str], start: int, length: int) -> NDArray[np.number]:
    """The rows of texts, shape (n, d), that stand in a table of `length` rows from row `start` on.

    Only these rows are read. InputError if one of them is not finite, or the file was made from other texts.
    """
    path, stop = Path(features), start + len(texts)
    known = _read(path, start, stop)
    if known is not None and not np.array_equal(known, text_keys(texts)):
        return features_of_texts(path, texts)
    rows = np.asarray(open_features(path, length)[start:stop])
    check_finite(rows, f"{path}, from row {start + 1:,} on")
    return rows


def _read(features: Path, start: int = 0, stop: int | None = None) -> Keys | None:
    """The keys of a file's record, of some rows; None without one, or if it is of another file."""
    path = record_path(features)
    if not path.is_file() or not features.is_file():
        return None
    try:
        with safe_open(path, "np") as record:
            of, keys = (record.metadata() or {}).get(OF), record.get_slice(KEYS)[start:stop]
    except (OSError, SafetensorError) as error:
        raise InputError(f"cannot read {path}: {error}; annotate again or delete it".replace("\n", " ")) from error
    return np.asarray(keys) if of == _hash(features) and keys.ndim == 2 else None


def _hash(path: Path) -> str:
    status = path.stat()
    return _hash_of(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=8)
def _hash_of(path: Path, changed: int, size: int) -> str:
    return file_hash(path)


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _excerpt(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= 40 else line[:39] + "…")
