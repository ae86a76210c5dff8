"""The report of an alignment, in the style of `silr report`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from silr import __version__
from silr.align.folder import AlignFolder
from silr.align.measures import Measured, difference
from silr.report.charts import Series, line_chart, swatch
from silr.report.reproduce import fact_rows, flat
from silr.report.texts import cut
from silr.report.words import short
from silr.report.write import save_page

MOST_POINTS, MOST_SAMPLES = 30, 100
NAMES = {
    "reward": "Reward",
    "judge": "Judge",
    "tokens": "Length, tokens",
    "ended": "Came to an end",
    "distinct_2": "Distinct-2",
    "repetition_2": "Repeated word pairs",
}
# title, what it is, names in the log with their legends, whether they are shares
CHARTS: list[tuple[str, str, dict[str, str], bool]] = [
    ("Reward and judge", "Means over the completions of training.", {"reward": "reward", "judge": "judge"}, True),
    ("KL from the start", "Nats a token, as TRL estimates it.", {"kl": "KL"}, False),
    ("Length", "Mean tokens of a completion.", {"completions/mean_length": "tokens"}, False),
    (
        "Diversity and repetition",
        "Different word pairs among all, and those that repeat one of the same text.",
        {"distinct_2": "distinct-2", "repetition_2": "repeated"},
        True,
    ),
    ("Loss", "Of DPO.", {"loss": "loss"}, False),
    ("Preferred the better one", "Share of the pairs.", {"rewards/accuracies": "share"}, True),
]


def write_align_report(
    folder: AlignFolder,
    result: dict[str, Any],
    before: Measured,
    after: Measured,
    prompts: Sequence[str],
    log: Sequence[dict[str, Any]],
) -> None:
    """Write ``report.html``: one file, every text escaped, that asks no other host for anything.

    Parameters
    ----------
    folder : AlignFolder
    result : dict
        As `silr.align.align` returns it.
    before, after : Measured
        Completions of `prompts`.
    prompts : sequence of str
    log : sequence of dict
        TRL's, one entry a step.
    """
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
        "tiles": _tiles(result),
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


def _show(name: str, value: float) -> str:
    return (
        f"{value:.1%}" if name in ("ended", "repetition_2") else f"{value:.1f}" if name == "tokens" else f"{value:.3f}"
    )


def _rows(result: dict[str, Any]) -> list[dict[str, str]]:
    old, new = result["before"], result["after"]
    return [
        {"name": NAMES[name], "before": _show(name, old[name]), "after": _show(name, new[name])}
        for name in NAMES
        if name in old
    ]


def _tiles(result: dict[str, Any]) -> list[dict[str, Any]]:
    old, new = result["before"], result["after"]
    tiles = []
    for name in ("reward", "judge", "tokens"):
        if name in old:
            better = name != "tokens" and new[name] > old[name]
            tiles.append(
                {"name": NAMES[name], "value": _show(name, new[name]), "was": _show(name, old[name]), "good": better}
            )
    return tiles


def _changes(before: Measured, after: Measured) -> list[str]:
    """Sentences on reward and judge, with standard errors."""
    found = []
    for name in ("reward", "judge"):
        old, new = getattr(before, name), getattr(after, name)
        if old is not None:
            change, error = difference(old, new)
            found.append(f"The {name} changed by {change:+.3f} (standard error {error:.3f}, prompts paired).")
    return found


def _charts(log: Sequence[dict[str, Any]], dpo: bool) -> list[dict[str, Any]]:
    steps = [entry for entry in log if "loss" in entry]
    found = []
    for number, (title, words, names, shares) in enumerate(CHARTS):
        here = {name: legend for name, legend in names.items() if any(_is(entry.get(name)) for entry in steps)}
        if not here or (title == "Loss" and not dpo):
            continue
        groups = [part for part in np.array_split(np.arange(len(steps)), min(MOST_POINTS, len(steps))) if len(part)]
        positions = [str(steps[part[-1]].get("step", part[-1] + 1)) for part in groups]
        series = [Series(legend, [_mean(steps, part, name) for part in groups]) for name, legend in here.items()]
        chart = line_chart(f"chart-{number}", title, words, positions, series, "step", shares)
        legend = [(swatch(place), each.name) for place, each in enumerate(series)]
        found.append({"id": f"h-chart-{number}", "title": title, "words": words, "svg": chart, "legend": legend})
    return found


def _is(value: Any) -> bool:
    return isinstance(value, (int, float)) and bool(np.isfinite(value))


def _mean(steps: Sequence[dict[str, Any]], part: Any, name: str) -> float | None:
    values = [float(steps[row][name]) for row in part if _is(steps[row].get(name))]
    return float(np.mean(values)) if values else None


def _samples(prompts: Sequence[str], before: Measured, after: Measured) -> list[dict[str, Any]]:
    return [
        {
            "row": row + 1,
            "prompt": cut(prompts[row]),
            "before": cut(before.completions[row]),
            "after": cut(after.completions[row]),
            "reward": (f"{before.reward[row]:.2f}", f"{after.reward[row]:.2f}"),
            "judge": None
            if before.judge is None or after.judge is None
            else (f"{before.judge[row]:.2f}", f"{after.judge[row]:.2f}"),
        }
        for row in range(min(len(prompts), MOST_SAMPLES))
    ]
