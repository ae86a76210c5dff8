"""Folders onto the Hugging Face hub: private unless the user says otherwise, and never over what somebody else made."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from silr import __version__
from silr.errors import InputError
from silr.extras import needs
from silr.hf.hub import answers
from silr.io.files import read_json
from silr.io.hub import LOG_IN, HubAwayError, hub_errors

Kind = Literal["model", "dataset"]
OF_EVERYBODY = {".gitattributes", "README.md"}  # files that a new repository may have
TAG = "silr"  # on the cards of what this package pushed


def check_push(name: str) -> None:
    """Refuse a name that the hub cannot have, or a push without a token, before any work.

    Raises InputError.
    """
    with needs("export", "--push"):
        from huggingface_hub import get_token
        from huggingface_hub.errors import HFValidationError
        from huggingface_hub.utils._validators import validate_repo_id
    try:
        validate_repo_id(name)
    except HFValidationError:
        raise InputError(f"{name} is no name on the hub; give NAME or OWNER/NAME") from None
    if get_token() is None:
        raise InputError(f"cannot push to {name}: {LOG_IN}")


def push(folder: str | Path, name: str, *, public: bool = False, kind: Kind = "model", quiet: bool = True) -> str:
    """Upload a folder of ``silr export`` to the Hugging Face hub, and return its address.

    The token is that of the environment (``HF_TOKEN``) or of ``hf auth login``; the address of the hub that of
    ``HF_ENDPOINT``. What an earlier push left there and the folder lacks is deleted; the hub keeps its history.

    Parameters
    ----------
    folder : str or Path
    name : str
        OWNER/NAME, or NAME of the token's own account; made if it does not exist.
    public : bool, default False
        Let everybody read it.
    kind : {"model", "dataset"}, default "model"
    quiet : bool, default True
        Show no progress.

    Returns
    -------
    str

    Raises
    ------
    InputError
        There is no token, the hub does not answer or refuses, the name belongs to something else, or the repository is
        public and `public` is False. The folder stays as it is.

    Examples
    --------
    >>> from silr import push
    >>> push("classifier/", "somebody/my classifier")
    Traceback (most recent call last):
        ...
    silr.errors.InputError: somebody/my classifier is no name on the hub; give NAME or OWNER/NAME
    """
    check_push(name)
    folder = Path(folder)
    if not (folder / "README.md").is_file():
        raise InputError(f"{folder} is no exported folder: it has no README.md")
    _check_base(folder)
    from huggingface_hub import HfApi, constants

    if not answers(constants.ENDPOINT):
        raise HubAwayError(f"cannot push to {name}: the hub at {constants.ENDPOINT} does not answer")
    with hub_errors(f"cannot push to {name}"), _progress(quiet):
        api = HfApi()
        repository = api.create_repo(name, private=not public, repo_type=kind, exist_ok=True)
        _check_same(api, repository.repo_id, kind, public)
        api.upload_folder(
            repo_id=repository.repo_id,
            folder_path=folder,
            repo_type=kind,
            commit_message=f"silr {__version__}",
            delete_patterns="*",
        )
    return str(repository)


def _check_base(folder: Path) -> None:
    """Refuse an adapter on a model that only this machine has."""
    if not (folder / "adapter_config.json").is_file():
        return
    base = str(read_json(folder / "adapter_config.json")["base_model_name_or_path"])
    if Path(base).is_absolute() or Path(base).exists():
        raise InputError(f"cannot push {folder}: its adapter sits on {base}, which others lack; leave out --adapter")


def _check_same(api: Any, repo_id: str, kind: Kind, public: bool) -> None:
    """Refuse a repository that holds something else, or that more people read than the user said."""
    info = api.repo_info(repo_id, repo_type=kind)
    if not public and not info.private:
        raise InputError(f"cannot push to {repo_id}: it exists and is public; give --public, or another name")
    others = [file.rfilename for file in info.siblings or () if file.rfilename not in OF_EVERYBODY]
    if others and TAG not in (info.tags or ()):
        raise InputError(f"cannot push to {repo_id}: it holds something else ({others[0]}); give another name")


@contextmanager
def _progress(quiet: bool) -> Iterator[None]:
    """Bars of the hub's client on standard error, or none."""
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    if not quiet or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


def push_labels(
    run: str | Path,
    name: str,
    *,
    public: bool = False,
    license: str | None = None,
    language: str | Sequence[str] = (),
    quiet: bool = True,
) -> str:
    """Upload the table of a run with its refined labels to the hub as a dataset, and return its address.

    Parameters
    ----------
    run : str or Path
        Run directory of ``silr refine``.
    name : str
        OWNER/NAME, or NAME of the token's own account; made if it does not exist.
    public : bool, default False
        Let everybody read it, the texts too.
    license : str, default None
        Licence of the texts and labels, for the card; None: unknown.
    language : str or sequence of str, default ()
        Languages of the texts, as codes of ISO 639.
    quiet : bool, default True
        Show no progress.

    Returns
    -------
    str

    Raises
    ------
    InputError
        As `push`, or the run has no ``labels.csv``.

    Examples
    --------
    >>> from silr import push_labels
    >>> push_labels("run/", "somebody/my labels")
    Traceback (most recent call last):
        ...
    silr.errors.InputError: somebody/my labels is no name on the hub; give NAME or OWNER/NAME
    """
    from silr.export.labels import write_labels

    check_push(name)
    with tempfile.TemporaryDirectory() as folder:
        write_labels(run, Path(folder), license, [language] if isinstance(language, str) else language)
        return push(folder, name, public=public, kind="dataset", quiet=quiet)
