"""Optional packages: where one is missing, one line says which extra of silr brings it."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from silr.errors import InputError

LOCAL = ("torch", "transformers", "accelerate", "peft", "gguf", "sentencepiece")


@contextmanager
def needs(extra: str, what: str, instead: str = "") -> Iterator[None]:
    """Turn a failed import within this block into one line that says what to install.

    Parameters
    ----------
    extra : str
        Of silr, as in ``pip install 'silr[local]'``.
    what : str
        The subject of the line: what needs the package.
    instead : str, default ""
        What to do without the package.

    Raises
    ------
    InputError
        An import failed.

    Examples
    --------
    >>> with needs("export", "an exported pipeline"):
    ...     import a_package_that_is_missing
    Traceback (most recent call last):
        ...
    silr.errors.InputError: an exported pipeline needs a_package_that_is_missing: pip install 'silr[export]'
    """
    try:
        yield
    except ImportError as error:
        missing = error.name.partition(".")[0] if isinstance(error, ModuleNotFoundError) and error.name else error
        line = f"{what} needs {missing}: pip install 'silr[{extra}]'{instead and f', {instead}'}"
        raise InputError(" ".join(line.split())) from error


def need_models(what: str) -> None:
    """Refuse what reads or trains language models on this machine unless the extra ``local`` is installed.

    Raises
    ------
    InputError
        A package of the extra is missing.
    """
    with needs("local", what):
        for package in LOCAL:
            if find_spec(package) is None:
                raise ModuleNotFoundError(name=package)
