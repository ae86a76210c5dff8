"""What `silr export --push` and `--push-labels` do."""

import sys
from pathlib import Path

from silr.cli.warnings import warn
from silr.errors import InputError

ANYBODY = "--public: anybody can read the texts of the table on the hub, and what they tell about people"


def check_pushes(folder: Path | None, push: str | None, push_labels: str | None, public: bool, quiet: bool) -> None:
    """Refuse, before any work, what cannot be pushed; say what `public` means for texts."""
    if folder is None and (push_labels is None or push is not None):
        raise InputError("give the export a new folder: silr export RUN FOLDER")
    if push is None and push_labels is None:
        if public:
            raise InputError("--public goes with --push NAME or --push-labels NAME")
        return
    from silr.export.push import check_push

    for name in (push, push_labels):
        if name is not None:
            check_push(name)
    if public and push_labels is not None and not quiet:
        warn(ANYBODY)


def push_all(
    run: Path,
    folder: Path | None,
    push: str | None,
    push_labels: str | None,
    public: bool,
    license: str | None,
    languages: list[str],
    quiet: bool,
) -> dict[str, str]:
    """Push what was asked for; the addresses on the hub by "model" and "labels"."""
    if push is None and push_labels is None:
        return {}
    from silr.export import push as hub

    hidden, addresses = quiet or not sys.stderr.isatty(), {}
    if push is not None and folder is not None:
        try:
            addresses["model"] = hub.push(folder, push, public=public, quiet=hidden)
        except InputError as error:
            later = f'python -c "import silr; silr.push({str(folder)!r}, {push!r}{", public=True" if public else ""})"'
            raise InputError(f"{error}; {folder} stays, and can be pushed later: {later}") from error
    if push_labels is not None:
        addresses["labels"] = hub.push_labels(
            run, push_labels, public=public, license=license, language=languages, quiet=hidden
        )
    if not quiet:
        for address in addresses.values():
            print(f"pushed: {address}")
    return addresses
