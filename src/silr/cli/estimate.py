"""The command `silr estimate`: numbers that can be published, with intervals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from silr.cli.options import AsJson


def estimate(
    source: Annotated[Path, Argument(help="Run directory of refine; or a table with LLM labels and gold labels.")],
    by: Annotated[
        list[str] | None,
        Option(metavar="COLUMN", help="Column of groups: shares by group, and differences. Again for further ones."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Estimate the shares of the classes and the quality of the labels, each with a 95 % interval.

    The labels of an LLM are biased, so counting them is too. Here every text counts by what is expected of it, and the
    gold labels put right how far that is wrong (prediction-powered inference).
    """
    from silr.estimate.estimate import estimate as estimate_source
    from silr.estimate.show import print_estimates

    result = estimate_source(source, by or ())
    if as_json:
        print(json.dumps(result.to_dict(), indent=2, ensure_ascii=False))
    else:
        print_estimates(result)
