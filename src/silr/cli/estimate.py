"""The command `silr estimate`: numbers that can be published, with intervals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from silr.cli.options import AsJson, choice
from silr.errors import InputError


def estimate(
    source: Annotated[Path, Argument(help="Run directory of refine; or a table with LLM labels and gold labels.")],
    by: Annotated[
        list[str] | None,
        Option(metavar="COLUMN", help="Column of groups: shares by group, and differences. Again for further ones."),
    ] = None,
    formula: Annotated[
        str | None,
        Option(metavar="FORMULA", help="Regression on all texts, as 'hostile ~ party + year'; a class name is 0 or 1."),
    ] = None,
    family: Annotated[str, choice("Of the regression: linear or logistic.", "linear", "logistic")] = "linear",
    target: Annotated[
        str,
        choice(
            "Of its standard errors: population (the texts are a sample) or corpus (they are all there is).",
            "population",
            "corpus",
        ),
    ] = "population",
    drop_missing: Annotated[
        bool, Option("--drop-missing", help="Leave texts without a value in the formula's columns out.")
    ] = False,
    dsl: Annotated[
        bool,
        Option("--dsl", help="Write columns dsl_CLASS, outcomes for a regression elsewhere, into RUN/labels.csv."),
    ] = False,
    output: Annotated[Path | None, Option("--output", "-o", help="With --dsl: write this table instead.")] = None,
    as_json: AsJson = False,
) -> None:
    """Estimate the shares of the classes and the quality of the labels, each with a 95 % interval.

    The labels of an LLM are biased, so counting them is too. Here every text counts by what is expected of it, and the
    gold labels put right how far that is wrong (prediction-powered inference).
    """
    from silr.estimate.dsl import write_dsl
    from silr.estimate.estimate import estimate as estimate_source
    from silr.estimate.show import print_estimates
    from silr.estimate.show_regression import print_regression

    if output is not None and not dsl:
        raise InputError("-o is the table that --dsl writes: add --dsl")
    if dsl and formula is not None:
        raise InputError("--dsl writes columns for a regression elsewhere, --formula fits one here: give one of them")
    if dsl:
        write_dsl(source, output, print)
        return
    result = estimate_source(source, by or (), formula=formula, family=family, target=target, drop_missing=drop_missing)
    if as_json:
        print(json.dumps(result.to_dict(), indent=2, ensure_ascii=False))
        return
    if result.regression is None or by:
        print_estimates(result)
    if result.regression is not None:
        print_regression(result.regression, result.assumptions)
