"""The tables and plots of docs/design/benchmarks.md, from the results that compare.py has kept.

    python benchmarks/compare_report.py

compare.py does it by itself at its end. What stands between the two marks in the document is replaced.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from cases import TABLES
from scores import mean_and_deviation

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "compare"
DOCUMENT = ROOT / "docs" / "design" / "benchmarks.md"
CEILING, OURS, LLM = "ceiling: all true labels", "silr", "LLM"
LINES = {  # of the plots
    "silr": "tab:red",
    "threshold": "tab:green",
    "gold only: both": "tab:orange",
    "robust UU (paper)": "tab:blue",
    "UU": "tab:cyan",
    "PN iterated": "tab:purple",
    "LLM": "tab:gray",
}
FORMER = "silr 0.1"  # the default before the posterior, where it was not computed again
USUAL, NONE = "100", "0"  # gold labels
SEEDS = ("0", "1", "2")  # of the plot by number of gold labels

Cells = dict[str, dict[str, dict[str, Any]]]  # gold labels, method, seed


def write_report(methods: list[str]) -> None:
    """Put tables and plots of the tables that have scores and hidden states into the document."""
    found = {path.stem: json.loads(path.read_text()) for path in RESULTS.glob("*.json")}
    found = {name: each for name, each in found.items() if each.get("group", "weak") == "weak"}
    order = [name for name in [*TABLES, *sorted(set(found) - set(TABLES))] if name in found]
    cells: dict[str, Cells] = {name: found[name]["cells"] for name in order}
    lines = [*_tables(cells, methods, "test"), "", *_against_rivals(cells), ""]
    lines += [
        "Accuracy of the relabelled corpus, where it has no gold label, in the same way:",
        "",
        *_tables(cells, methods, "corpus"),
        "",
    ]
    _plot_iterations(cells, DOCUMENT.parent / "accuracy-by-iteration.svg")
    _plot_gold(cells, DOCUMENT.parent / "accuracy-by-gold.svg")
    machine = found[order[-1]]["machine"]
    packages = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    lines += [
        "Test accuracy by iteration, mean and deviation over the seeds that were not refused:",
        "",
        "![One chart a table: silr rises above the others in its first iteration and stays there; the paper's recipe "
        "and plain training rise more slowly, or stay low where the LLM knows little.](accuracy-by-iteration.svg)",
        "",
        "Test accuracy by the number of gold labels:",
        "",
        "![One chart a table: silr is above the others nearly everywhere.](accuracy-by-gold.svg)",
        "",
        f"Run on {machine['date']} with {packages}, Python {machine['python']}, {machine['cores']} cores.",
    ]
    put_into_document("compare.py", lines)
    blind = [method for method in methods if any(method in found.get(NONE, {}) for found in cells.values())]
    if blind:
        put_into_document("compare.py, no gold labels", _tables(cells, blind, "test", NONE))


def put_into_document(mark: str, lines: list[str]) -> None:
    """Replace what stands between the two marks of a script."""
    begin, end = f"<!-- from {mark} -->", f"<!-- end of what is from {mark} -->"
    before, rest = DOCUMENT.read_text().split(begin)
    DOCUMENT.write_text("\n".join([before + begin, "", *lines, "", end]) + rest.split(end)[1])


def accuracies(runs: dict[str, dict[str, Any]], part: str = "test") -> list[float]:
    return [run[part]["accuracy"] for run in runs.values() if "refused" not in run]


def _tables(cells: dict[str, Cells], methods: list[str], part: str, gold: str = USUAL) -> list[str]:
    """Those that are given, and those that packages bring."""
    cells = {name: found for name, found in cells.items() if gold in found}
    groups = [{name: found for name, found in cells.items() if (name in TABLES) == given} for given in (True, False)]
    return [line for group in groups if group for line in ("", *_table(group, methods, part, gold))][1:]


def _table(cells: dict[str, Cells], methods: list[str], part: str, gold: str) -> list[str]:
    """One row a method, one column a table; the best of those that know no truth beyond the gold labels is bold."""
    best = {}
    for name, found in cells.items():
        means = {method: accuracies(found[gold].get(method, {}), part) for method in methods if _is_fair(method)}
        best[name] = max(means, key=lambda method: np.mean(means[method]) if len(means[method]) > 2 else 0.0)
    lines = ["| | " + " | ".join(cells) + " |", "| --- |" + " --- |" * len(cells)]
    shown = [each for each in [*methods, FORMER] if any(each in found[gold] for found in cells.values())]
    for method in shown:
        row = []
        for name, found in cells.items():
            said = cell(found[gold].get(method, {}), part)
            row.append(f"**{said}**" if best[name] == method else said)
        lines.append(f"| {method} | " + " | ".join(row) + " |")
    return lines


def cell(runs: dict[str, dict[str, Any]], part: str = "test") -> str:
    """Mean and deviation over the seeds, and how many were refused."""
    values = accuracies(runs, part)
    if not values:
        return "refused" if runs else "-"
    said = mean_and_deviation(values)
    return said if len(values) == len(runs) else f"{said} ({len(runs) - len(values)} of {len(runs)} refused)"


def _against_rivals(cells: dict[str, Cells]) -> list[str]:
    """What silr gains over the best rival of each table, split by split, and what part of the way to the ceiling."""
    lines = [
        "| table | best alternative, test part | silr is above it by (± standard error) | of the way to the ceiling "
        "| best alternative, corpus | silr is above it by |",
        "| --- |" + " --- |" * 5,
    ]
    for name, found in cells.items():
        usual = found[USUAL]
        if OURS not in usual:
            continue
        rival, mean, gain, error = _gain(usual, "test")
        on_corpus = _gain(usual, "corpus")
        way = gain / (np.mean(accuracies(usual[CEILING])) - mean)
        lines.append(
            f"| {name} | {rival}, {mean:.3f} | {100 * gain:+.1f} ± {100 * error:.1f} points | {way:.0%} "
            f"| {on_corpus[0]}, {on_corpus[1]:.3f} | {100 * on_corpus[2]:+.1f} ± {100 * on_corpus[3]:.1f} points |"
        )
    return lines


def _gain(usual: dict[str, Any], part: str) -> tuple[str, float, float, float]:
    """The best rival that was never refused, its mean, what silr has above it, and the standard error of that."""
    runs = {method: accuracies(usual[method], part) for method in usual if _is_rival(method)}
    means = {method: float(np.mean(values)) for method, values in runs.items() if len(values) == len(usual[method])}
    rival = max(means, key=means.__getitem__)
    gains = [usual[OURS][seed][part]["accuracy"] - usual[rival][seed][part]["accuracy"] for seed in usual[OURS]]
    return rival, means[rival], float(np.mean(gains)), float(np.std(gains, ddof=1) / np.sqrt(len(gains)))


def _is_fair(method: str) -> bool:
    return "oracle" not in method and method != CEILING


def _is_rival(method: str) -> bool:
    return _is_fair(method) and not method.startswith(("silr", "UU, prior matched"))


def _axes(names: list[str]) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure

    rows = -(-len(names) // 4)
    figure = Figure(figsize=(12, 2.6 * rows + 0.6), layout="constrained")
    axes = figure.subplots(rows, 4, squeeze=False).flatten()
    for axis, name in zip(axes, names, strict=False):
        axis.set_title(name, fontsize=10)
        axis.grid(alpha=0.3)
    for axis in axes[len(names) :]:
        axis.set_visible(False)
    return figure, list(axes[: len(names)])


def _save(figure: Any, axes: list[Any], path: Path) -> None:
    import matplotlib

    handles = {label: line for axis in axes for line, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=len(handles), frameon=False)
    with matplotlib.rc_context({"svg.hashsalt": "silr"}):
        figure.savefig(path, metadata={"Date": None})


def _line(axis: Any, method: str, x: Any, runs: list[list[float]]) -> None:
    mean, spread = np.mean(runs, axis=0), np.std(runs, axis=0)
    axis.plot(x, mean, color=LINES[method], label=method, marker=".", linewidth=2 if method == OURS else 1.2)
    axis.fill_between(x, mean - spread, mean + spread, color=LINES[method], alpha=0.15, linewidth=0)


def _plot_iterations(cells: dict[str, Cells], path: Path) -> None:
    """A run that stopped early keeps its last accuracy."""
    figure, axes = _axes(list(cells))
    for axis, found in zip(axes, cells.values(), strict=True):
        llm = accuracies(found[USUAL].get(LLM, {}))
        for method in ("PN iterated", "UU", "robust UU (paper)", "silr"):
            runs = []
            for seed, run in found[USUAL].get(method, {}).items():
                if "refused" not in run:
                    course = [each["test"]["accuracy"] for each in run["iterations"]]
                    first = found[USUAL][LLM][seed]["test"]["accuracy"]
                    runs.append([first, *course, *[course[-1]] * (5 - len(course))])
            if runs:
                _line(axis, method, range(6), runs)
        axis.axhline(np.mean(llm), color=LINES[LLM], linestyle=":", label="LLM")
        axis.axhline(np.mean(accuracies(found[USUAL][CEILING])), color="black", linestyle=":", label="ceiling")
    _save(figure, axes, path)


def _plot_gold(cells: dict[str, Cells], path: Path) -> None:
    """Of the seeds that every number of gold labels has; a method that was refused on one of them has no point."""
    chosen = {name: found for name, found in cells.items() if len(found) > 2}
    if not chosen:
        return
    figure, axes = _axes(list(chosen))
    for axis, found in zip(axes, chosen.values(), strict=True):
        numbers = sorted(map(int, found))
        for method in ("threshold", "gold only: both", "robust UU (paper)", "silr"):
            runs = [found[str(number)].get(method, {}) for number in numbers]
            values = [accuracies({seed: each[seed] for seed in SEEDS if seed in each}) for each in runs]
            known = [(place, each) for place, each in enumerate(values) if len(each) == len(SEEDS)]
            if known:
                places, shown = zip(*known, strict=True)
                _line(axis, method, places, np.transpose(shown).tolist())
        axis.axhline(np.mean(accuracies(found[USUAL][LLM])), color=LINES[LLM], linestyle=":", label="LLM")
        axis.axhline(np.mean(accuracies(found[USUAL][CEILING])), color="black", linestyle=":", label="ceiling")
        axis.set_xticks(range(len(numbers)), numbers)
    _save(figure, axes, path)


if __name__ == "__main__":
    from methods import METHODS

    write_report(list(METHODS))
