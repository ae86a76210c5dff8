"""The command `silr estimate`: numbers that can be published, with intervals."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from silr.cli.options import AsJson, By, choice, table_path
from silr.errors import InputError

Source = Annotated[
    Path,
    Argument(
        help="Run directory of refine; or a table with LLM labels and gold labels.", parser=table_path, metavar="SOURCE"
    ),
]
GoldColumn = Annotated[str, Option(help="Column with labels by hand, of a table; a run knows its own.")]
LabelColumn = Annotated[
    list[str] | None,
    Option(help="Column with an LLM's labels, of a table; again for several. Default: llm_label, llm_label_NAME."),
]
WIDTH_HELP = "How many more gold labels bring the shares' intervals to this width? Default: 0.05, 5 points."
Width = Annotated[float | None, Option(metavar="X", help=WIDTH_HELP)]
Csv = Annotated[
    Path | None, Option("--csv", metavar="FOLDER", help="Write each table as a CSV file, too, with all rows.")
]
AsLatex = Annotated[
    bool, Option("--latex", help="Print the tables as LaTeX (booktabs), and the methods paragraph as a comment.")
]
Formula = Annotated[
    str | None,
    Option(metavar="FORMULA", help="Regression on all texts, as 'hostile ~ party + year'; a class name is 0 or 1."),
]
Family = Annotated[str, choice("Of the regression: linear or logistic.", "linear", "logistic")]
Target = Annotated[
    str,
    choice(
        "Of its standard errors: population (the texts are a sample) or corpus (they are all there is).",
        "population",
        "corpus",
    ),
]
DropMissing = Annotated[
    bool, Option("--drop-missing", help="Leave texts without a value in the formula's columns out.")
]
Dsl = Annotated[
    bool, Option("--dsl", help="Write columns dsl_CLASS, outcomes for a regression elsewhere, into RUN/labels.csv.")
]
Output = Annotated[Path | None, Option("--output", "-o", help="With --dsl: write this table instead.")]


def estimate(
    source: Source,
    by: By = None,
    width: Width = None,
    gold_column: GoldColumn = "gold",
    label_column: LabelColumn = None,
    formula: Formula = None,
    family: Family = "linear",
    target: Target = "population",
    drop_missing: DropMissing = False,
    dsl: Dsl = False,
    output: Output = None,
    csv: Csv = None,
    as_latex: AsLatex = False,
    as_json: AsJson = False,
) -> None:
    """Estimate the shares of the classes and the quality of the labels, each with a 95 % interval.

    The labels of an LLM are biased, so counting them is too. Here every text counts by what is expected of it, and the
    gold labels put right how far that is wrong (prediction-powered inference).
    """
    if as_json and as_latex:
        raise InputError("--json or --latex, not both")
    from silr.estimates.dsl import write_dsl
    from silr.estimates.enough import WIDTH, checked_width
    from silr.estimates.estimate import estimate as estimate_source
    from silr.estimates.files import write_csv
    from silr.estimates.latex import latex
    from silr.estimates.show import print_estimates
    from silr.estimates.show_regression import print_regression

    wanted = WIDTH if width is None else checked_width(width, "--width")
    if output is not None and not dsl:
        raise InputError("-o is the table that --dsl writes: add --dsl")
    if dsl and formula is not None:
        raise InputError("--dsl writes columns for a regression elsewhere, --formula fits one here: give one of them")
    if dsl:
        _only(
            "--dsl writes columns and nothing else", {"--by": by, "--csv": csv, "--latex": as_latex, "--json": as_json}
        )
        write_dsl(source, output, print, gold_column, label_column or ())
        return
    if formula is None:
        given: dict[str, object] = {
            "--family": family != "linear",
            "--target": target != "population",
            "--drop-missing": drop_missing,
        }
        _only("without --formula there is no regression", given)
    regression = {"formula": formula, "family": family, "target": target, "drop_missing": drop_missing}
    columns = {"gold_column": gold_column, "label_columns": label_column or ()}
    result = estimate_source(source, by or (), **columns, **regression)  # type: ignore[arg-type]
    paths = [] if csv is None else write_csv(result, csv)
    if as_json:
        more = {"width": wanted, "labels": result.more_labels(wanted)}
        print(json.dumps({**result.to_dict(), "more_labels": more}, indent=2, ensure_ascii=False))
    elif as_latex:
        print(latex(result))
    elif result.regression is None or by or width is not None:
        print_estimates(result, width)
    if result.regression is not None and not (as_json or as_latex):
        print_regression(result.regression, result.assumptions)
    if not (as_json or as_latex):
        for path in paths:
            print(f"written: {path}")


def _only(why: str, given: Mapping[str, object]) -> None:
    """InputError if an option was given that would do nothing here."""
    names = [name for name, value in given.items() if value]
    if names:
        raise InputError(f"{why}: leave out {', '.join(names)}")
