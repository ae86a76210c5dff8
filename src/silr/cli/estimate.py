"""The command `silr estimate`: numbers that can be published, with intervals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from silr.cli.options import AsJson, By
from silr.errors import InputError


def estimate(
    source: Annotated[Path, Argument(help="Run directory of refine; or a table with LLM labels and gold labels.")],
    by: By = None,
    width: Annotated[
        float | None,
        Option(
            metavar="X", help="Say how many more gold labels bring the shares' intervals to this width; default .05."
        ),
    ] = None,
    gold_column: Annotated[str, Option(help="Column with labels by hand, of a table; a run knows its own.")] = "gold",
    label_column: Annotated[
        list[str] | None,
        Option(help="Column with an LLM's labels, of a table; again for several. Default: llm_label, llm_label_NAME."),
    ] = None,
    csv: Annotated[
        Path | None, Option("--csv", metavar="FOLDER", help="Write each table as a CSV file, too, with all rows.")
    ] = None,
    as_latex: Annotated[
        bool, Option("--latex", help="Print the tables as LaTeX (booktabs), and the methods paragraph as a comment.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Estimate the shares of the classes and the quality of the labels, each with a 95 % interval.

    The labels of an LLM are biased, so counting them is too. Here every text counts by what is expected of it, and the
    gold labels put right how far that is wrong (prediction-powered inference).
    """
    if as_json and as_latex:
        raise InputError("--json or --latex, not both")
    from silr.estimate.enough import WIDTH, checked_width
    from silr.estimate.estimate import estimate as estimate_source
    from silr.estimate.files import write_csv
    from silr.estimate.latex import latex
    from silr.estimate.show import print_estimates

    wanted = WIDTH if width is None else checked_width(width, "--width")
    result = estimate_source(source, by or (), gold_column=gold_column, label_columns=label_column or ())
    paths = [] if csv is None else write_csv(result, csv)
    if as_json:
        more = {"width": wanted, "labels": result.more_labels(wanted)}
        print(json.dumps({**result.to_dict(), "more_labels": more}, indent=2, ensure_ascii=False))
    elif as_latex:
        print(latex(result))
    else:
        print_estimates(result, width)
        for path in paths:
            print(f"written: {path}")
