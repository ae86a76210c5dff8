"""The page itself: one file, with its style and script inside, that asks no other host for anything."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from silr.io.files import atomic_write
from silr.refine.record import read_record
from silr.report.contents import contents

REPORT = "report.html"


def write_report(
    run: str | Path, output: str | Path | None = None, truth: str | None = None, by: Sequence[str] = ()
) -> Path:
    """Write the report of a run.

    Parameters
    ----------
    run : str or Path
        Run directory.
    output : str or Path, default None
        None: ``report.html`` in the run.
    truth : str, default None
        Column with true labels, which only score; None: the one that `silr refine` was given, if any.
    by : sequence of str, default ()
        Columns of the table; the estimates are also by group of texts that have the same values in them.

    Returns
    -------
    Path
        Where it was written. The same run always gives the same bytes.

    Raises
    ------
    InputError
        `run` is no run or has no finished iteration, the truth or a column of groups cannot be used, or the file cannot
        be written.
    """
    path = Path(run) / REPORT if output is None else Path(output)
    save_page(path, "report/template.html", contents(read_record(run, truth), by))
    return path


def save_page(path: Path, template: str, values: Mapping[str, object]) -> None:
    """Write a page in the style of the reports, atomically; every text in `values` is escaped.

    `template` is one of this package, such as "report/template.html", that extends "report/page.html".
    """
    folder = files("silr.report")
    style = (folder / "static" / "report.css").read_text(encoding="utf-8")
    script = (folder / "static" / "report.js").read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=PackageLoader("silr", ""),
    )
    page = environment.get_template(template).render(
        values,
        style=Markup(style),
        script=Markup(script),
        policy=f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'",
    )
    with atomic_write(path) as file:
        file.write(page.encode("utf-8", "replace"))


def _hash(text: str) -> str:
    """The only style and the only script that the page may have."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
