"""The command `silr report`, and the report that `silr refine` ends with."""

import json
from pathlib import Path
from typing import Annotated

from typer import Option

from silr.cli.options import AsJson, By, Quiet, Run
from silr.cli.warnings import warn


def report(
    run: Run,
    output: Annotated[Path | None, Option("--output", "-o", help="The page; default: report.html in the run.")] = None,
    truth: Annotated[str | None, Option(help="Column with true labels; they only score.")] = None,
    by: By = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Write what a run did, how sure it is and what to look at, as one page without any outside link."""
    from silr.report.write import write_report

    path = write_report(run, output, truth, by or ())
    if as_json:
        print(json.dumps({"report": str(path)}))
    elif not quiet:
        print(f"written: {path}")


def report_of_finished(run: Path) -> Path | None:
    """Write the report of a run whose labels are safe on the disk: if it fails, that is a warning and no more."""
    try:
        from silr.report.write import write_report

        return write_report(run)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        warn(f"the labels are written, the report is not ({reason})")
        return None
