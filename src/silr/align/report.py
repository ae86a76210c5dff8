"""Report of an alignment, in the style of `silr report`."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from silr import __version__
from silr.align.folder import AlignFolder
from silr.align.measures import AlignResult, Measured, difference
from silr.io.files import Json
from silr.io.words import short
from silr.report.charts import Series, legend_of, line_chart
from silr.report.reproduce import fact_rows, flat
from silr.report.texts import cut
from silr.report.write import save_page

MOST_POINTS, MOST_SAMPLES = 30, 100
MEASURES = {  # name and format of each
    "reward": ("Reward", ".3f"),
    "judge": ("Judge", ".3f"),
    "tokens": ("Length, tokens", ".1f"),
    "ended": ("Came to an end", ".1%"),
    "distinct_2": ("Distinct-2", ".3f"),
    "repetition_2": ("Repeated word pairs", ".1%"),
}
Log = Sequence[Json]  # TRL's, one entry a step


class Chart(NamedTuple):
    """A chart of the training's log: `names` are those of the log with their legends."""

    title: str
    words: str
    names: dict[str, str]
    shares: bool = False


CHARTS = [
    Chart("Reward and judge", "Means over the completions of training.", {"reward": "reward", "judge": "judge"}, True),
    Chart("KL from the start", "Nats a token, as TRL estimates it.", {"kl": "KL"}),
    Chart("Length", "Mean tokens of a completion.", {"completions/mean_length": "tokens"}),
    Chart(
        "Diversity and repetition",
        "Different word pairs among all, and those that repeat one of the same text.",
        {"distinct_2": "distinct-2", "repetition_2": "repeated"},
        True,
    ),
    Chart("Loss", "Of DPO.", {"loss": "loss"}),
    Chart("Preferred the better one", "Share of the pairs.", {"rewards/accuracies": "share"}, True),
]


def write_align_report(
    folder: AlignFolder, result: AlignResult, before: Measured, after: Measured, prompts: Sequence[str], log: Log
) -> None:
    """Write ``report.html``: one file, every text escaped, that asks no other host for anything."""
    manifest = folder.manifest
    identity = manifest["identity"]
    values = {
        "title": short(Path(identity["policy"]["model"]).name),
        "version": __version__,
        "method": result["method"],
        "wanted": short(identity["reward"]["class"]),
        "prompts": result["prompts"],
        "scale": result["reward"],
        "judge_scale": result["judge"],
        "rows": _rows(result),
        "kl": result["kl"],
        "changes": _changes(before, after),
        "warnings": result["warnings"],
        "charts": _charts(log, dpo=result["method"] == "dpo"),
        "samples": _samples(prompts, before, after),
        "groups": [
            ("Settings", fact_rows(flat({name: value for name, value in identity.items() if name != "judge"}))),
            ("Judge", fact_rows(flat(identity["judge"] or {}))),
            ("Versions", fact_rows({"silr": manifest["silr"], **manifest["packages"]})),
            ("Hardware", fact_rows(flat(manifest["hardware"]))),
        ],
    }
    save_page(folder.folder / "report.html", "align/template.html", values)


def _rows(result: AlignResult) -> list[dict[str, object]]:
    """Measures before and after; the first ones are tiles, too."""
    before, after = result["before"], result["after"]
    return [
        {
            "name": name,
            "before": format(before[key], form),
            "after": format(after[key], form),
            "tile": key in ("reward", "judge", "tokens"),
            "good": key != "tokens" and after[key] > before[key],
        }
        for key, (name, form) in MEASURES.items()
        if key in before
    ]


def _changes(before: Measured, after: Measured) -> list[str]:
    """Sentences on reward and judge, with standard errors."""
    sentences = []
    for name in ("reward", "judge"):
        if getattr(before, name) is not None:
            change, error = difference(getattr(before, name), getattr(after, name))
            sentences.append(f"The {name} changed by {change:+.3f} (standard error {error:.3f}, prompts paired).")
    return sentences


def _charts(log: Log, dpo: bool) -> list[dict[str, object]]:
    steps = [entry for entry in log if "loss" in entry]
    charts: list[dict[str, object]] = []
    for number, chart in enumerate(CHARTS):
        values = {legend: _column(steps, name) for name, legend in chart.names.items()}
        values = {legend: column for legend, column in values.items() if np.isfinite(column).any()}
        if not values or (chart.title == "Loss" and not dpo):
            continue
        groups = np.array_split(np.arange(len(steps)), min(MOST_POINTS, len(steps)))
        positions = [str(steps[rows[-1]].get("step", rows[-1] + 1)) for rows in groups]
        series = [Series(legend, [_mean(column[rows]) for rows in groups]) for legend, column in values.items()]
        svg = line_chart(f"chart-{number}", chart.title, chart.words, positions, series, "step", chart.shares)
        shown = {"id": f"h-chart-{number}", "title": chart.title, "words": chart.words, "svg": svg}
        charts.append({**shown, "legend": legend_of(series)})
    return charts


def _column(steps: Log, name: str) -> NDArray[np.float64]:
    """A number of each step, NaN where there is none."""
    values = [entry.get(name) for entry in steps]
    return np.array([value if isinstance(value, (int, float)) else np.nan for value in values])


def _mean(values: NDArray[np.float64]) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else None


def _samples(prompts: Sequence[str], before: Measured, after: Measured) -> list[dict[str, object]]:
    def scores(name: str, row: int) -> tuple[str, ...] | None:
        columns = [getattr(measured, name) for measured in (before, after)]
        return None if columns[0] is None else tuple(f"{column[row]:.2f}" for column in columns)

    return [
        {
            "row": row + 1,
            "prompt": cut(prompts[row]),
            "before": cut(before.completions[row]),
            "after": cut(after.completions[row]),
            "reward": scores("reward", row),
            "judge": scores("judge", row),
        }
        for row in range(min(len(prompts), MOST_SAMPLES))
    ]
