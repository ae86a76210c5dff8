"""What each case shows: silr against the LLM and against the best rival, draw by draw; means over the cases.

    python benchmarks/case_report.py

compare.py does it by itself at its end. What stands between the marks in docs/design/benchmarks.md is replaced. Cases
that another table of the document has one by one are there in the means, and by themselves where silr loses.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cases import FEATURES, GROUPS, TABLES
from compare_report import LLM, OURS, RESULTS, USUAL, put_into_document
from scores import paired

MARK, FEW_MARK = "compare.py, by case", "compare.py, few gold labels"
RIVALS = (LLM, "confusion", "gold only: both", "stack", "SetFit")
VOTES = ("majority vote", "Dawid-Skene", "Dawid-Skene, gold labels")  # rivals where there are several LLMs
SHOWN = (
    LLM,
    "confusion",
    *VOTES,
    "gold only: embeddings",
    "gold only: both",
    "stack",
    "SetFit",
    "UU, prior matched",
    "robust UU (paper)",
    OURS,
)
MEASURED = (  # by more than accuracy
    LLM,
    "Dawid-Skene, gold labels",
    "gold only: both",
    "stack",
    "UU, prior matched",
    "robust UU (paper)",
    OURS,
)
NAMES = {
    "gold only: embeddings": "gold only, embeddings",
    "gold only: both": "gold only",
    "UU, prior matched": "uu",
    "robust UU (paper)": "paper",
    "Dawid-Skene, gold labels": "Dawid-Skene with gold",
}
TITLES = {**GROUPS, "packages": "weak LLM, tables that packages bring, with scores and hidden states"}
SHORT = {
    "weak": "weak, with scores",
    "labels-only": "weak",
    "strong": "strong",
    "several": "several strong",
    "packages": "packages, with scores",
}
SHORT_FEATURES = {"states": "", "minilm": ", MiniLM", "tfidf": ", TF-IDF alone"}
MEASURES = {"macro_f1": "macro-F1", "log_loss": "log loss", "calibration_error": "calibration error"}
HALF_A_POINT = 0.005
TOLERATED = {"25": 0.01, "50": HALF_A_POINT, USUAL: HALF_A_POINT}  # below the LLM, by number of gold labels
ELSEWHERE = {("weak", "states"), ("strong", "tfidf")}  # by case in the tables of compare_report.py and api_features.py
PARTIAL = ("UU, prior matched", "robust UU (paper)", "SetFit")

Runs = dict[str, dict[str, Any]]  # by seed


@dataclass(frozen=True)
class Results:
    """The results of one case with the usual number of gold labels, by method and seed."""

    name: str
    group: str
    features: str
    methods: dict[str, Runs]

    def values(self, method: str, measure: str = "accuracy") -> dict[str, float]:
        """By seed, where the method was not refused and has such a measure."""
        runs = self.methods.get(method, {})
        return {seed: run["corpus"][measure] for seed, run in runs.items() if measure in run.get("corpus", {})}

    def mean(self, method: str, measure: str = "accuracy") -> float:
        """NaN where some draw was refused or none was run: means of fewer draws are not comparable."""
        values = self.values(method, measure)
        complete = values and len(values) == len(self.methods[method])
        return float(np.mean(list(values.values()))) if complete else np.nan

    def gain(self, rival: str, method: str = OURS) -> tuple[float, float] | None:
        """The method minus the rival on the draws that both have, and its standard error."""
        ours, others = self.values(method), self.values(rival)
        seeds = sorted(set(ours) & set(others))
        return paired([ours[seed] for seed in seeds], [others[seed] for seed in seeds]) if seeds else None

    def best_rival(self) -> str | None:
        """The rival of the best mean, of those with as many draws as the LLM."""
        draws = len(self.values(LLM))
        rivals = RIVALS + VOTES if self.group == "several" else RIVALS
        means = {rival: self.mean(rival) for rival in rivals if len(self.values(rival)) == draws}
        known = {rival: mean for rival, mean in means.items() if np.isfinite(mean)}
        return max(known, key=known.__getitem__) if known else None


def write_case_report() -> None:
    """Put the tables of all cases into the document."""
    put_into_document(MARK, list(report(read(RESULTS))))
    few = {gold: [case for case in read(RESULTS, gold) if case.group not in ("weak", "packages")] for gold in TOLERATED}
    put_into_document(FEW_MARK, list(few_gold(few)))


def read(folder: Path, gold: str = USUAL) -> list[Results]:
    """All results; tables in their usual order, those that packages bring in a group of their own."""
    found = []
    for path in sorted(folder.glob("*.json")):
        results = json.loads(path.read_text())
        group = results.get("group", "weak")
        if group == "weak" and path.stem not in TABLES:
            group = "packages"
        features = results.get("features", "states")
        methods = results["cells"].get(gold, {})
        if OURS in methods:
            found.append(Results(path.stem, group, features, methods))
    place = {name: number for number, name in enumerate(TABLES)}
    return sorted(found, key=lambda case: place.get(case.name.split(".")[0], len(place)))


def report(cases: Sequence[Results]) -> Iterator[str]:
    """Lines of the document: for each group of cases and kind of features a table, then the other measures."""
    regimes = by_regime(cases)
    for chosen in regimes.values():
        group, features = chosen[0].group, chosen[0].features
        if (group, features) in ELSEWHERE:
            continue
        heading = TITLES[group] + ("" if group == "packages" else f"; {FEATURES[features]}")
        draws = sorted({len(case.methods.get(LLM, {})) for case in chosen})
        number = f"{draws[0]} to {draws[-1]}" if len(draws) > 1 else str(draws[0])
        yield f"**{heading[0].upper()}{heading[1:]}** ({number} draws)"
        yield ""
        yield from by_case(chosen)
        yield ""
    yield "Means over the cases. Gains of silr in points, ± their standard error over the draws:"
    yield ""
    yield from summary(regimes)
    yield ""
    yield "Below the LLM by more than half a point, in points:"
    yield ""
    for name, chosen in regimes.items():
        yield f"- {name}: {losses(chosen, HALF_A_POINT)}"
    yield ""
    yield from partial(regimes)
    yield "Other measures of the relabelled corpus, means over the cases where the method was never refused:"
    yield ""
    yield from other_measures(regimes)
    yield ""
    yield "The accuracy that silr estimates from the gold labels, and the true one:"
    yield ""
    yield from estimates(regimes)


def by_regime(cases: Sequence[Results]) -> dict[str, list[Results]]:
    """The cases of each group and kind of features, by a short name."""
    regimes = {}
    for group, name in SHORT.items():
        for features, words in SHORT_FEATURES.items():
            chosen = [case for case in cases if case.group == group and case.features == features]
            if group == "weak" and features == "states":  # nsmc has no states, and is shown beside the others
                chosen = [case for case in cases if case.group == group]
            if chosen and not (group == "weak" and features == "tfidf"):
                regimes[name + words] = chosen
    return regimes


def few_gold(few: dict[str, list[Results]]) -> Iterator[str]:
    """Means by number of gold labels, and the cases that lose more than is tolerated."""
    shown = (LLM, "confusion", "gold only: both", "stack", OURS)
    yield (
        f"| | gold | cases | draws | {' | '.join(NAMES.get(name, name) for name in shown)} | silr - LLM "
        "| silr - best rival | below the LLM by more than is tolerated |"
    )
    yield "| --- |" + " --- |" * (len(shown) + 6)
    lost = []
    regimes = {gold: by_regime(cases) for gold, cases in few.items()}
    for name in regimes[USUAL]:
        if not any(name in regimes[gold] for gold in few if gold != USUAL):
            continue
        for gold in few:
            chosen, tolerated = regimes[gold].get(name, []), TOLERATED[gold]
            gains = [gain for case in chosen if (gain := case.gain(LLM))]
            if not gains:
                continue
            draws = min(len(case.values(OURS)) for case in chosen)
            cells = [name, gold, str(len(gains)), str(draws), *(mean_of(chosen, method) for method in shown)]
            has_rivals = all(case.methods.get("stack") for case in chosen)
            over_rival = [gain for case in chosen if has_rivals and (gain := case.gain(case.best_rival() or LLM))]
            cells += [points(mean_gain(gains)), points(mean_gain(over_rival))]
            yield f"| {' | '.join(cells)} | {sum(gain[0] < -tolerated for gain in gains)} of {len(gains)} |"
            if gold != USUAL:
                lost.append(f"- {name}, {gold} gold labels (by more than {tolerated:.1%}): {losses(chosen, tolerated)}")
    yield ""
    yield from lost


def losses(cases: Sequence[Results], tolerated: float) -> str:
    """The cases below the LLM by more than is tolerated, the worst first."""
    gains = {title(case): gain for case in cases if (gain := case.gain(LLM)) and gain[0] < -tolerated}
    return "; ".join(f"{name} {points(gains[name])}" for name in sorted(gains, key=gains.__getitem__)) or "none"


def partial(regimes: dict[str, list[Results]]) -> Iterator[str]:
    """The methods that lack draws, on those that they have: above the LLM, and silr above them."""
    lines = []
    for name, cases in regimes.items():
        for method in PARTIAL:
            runs = [run for case in cases for run in case.methods.get(method, {}).values()]
            refused = sum("refused" in run for run in runs)
            over_llm = [gain for case in cases if (gain := case.gain(LLM, method))]
            ours = [gain for case in cases if (gain := case.gain(method))]
            if runs:
                cells = [name, NAMES.get(method, method), f"{refused} of {len(runs)}", f"{len(ours)} of {len(cases)}"]
                cells += [points(over_cases(over_llm)), points(over_cases(ours))]
                lines.append(f"| {' | '.join(cells)} |")
    if lines:
        yield "Methods that refuse, or that were run on fewer draws: gains in points on the draws that they have,"
        yield "± their standard error over the cases."
        yield ""
        yield "| | method | draws refused | cases with others | method - LLM | silr - method |"
        yield "| --- |" + " --- |" * 5
        yield from lines
        yield ""


def by_case(cases: Sequence[Results]) -> Iterator[str]:
    """One row a case: the accuracy of each method, and what silr gains."""
    methods = [name for name in SHOWN if any(case.methods.get(name) for case in cases)]
    yield f"| case | {' | '.join(NAMES.get(name, name) for name in methods)} | silr - LLM | silr - best rival |"
    yield "| --- |" + " --- |" * (len(methods) + 2)
    for case in cases:
        rival = case.best_rival()
        cells = [accuracy(case, name) for name in methods]
        against = "-" if rival is None else f"{points(case.gain(rival))} ({NAMES.get(rival, rival)})"
        yield f"| {title(case)} | {' | '.join(cells)} | {points(case.gain(LLM))} | {against} |"


def title(case: Results) -> str:
    table, *rest = case.name.split(".")
    return f"{table} {rest[0]}" if case.group in ("strong", "several") else table


def accuracy(case: Results, method: str) -> str:
    """Mean over the draws; how many were refused, and how many there are if fewer than the LLM's."""
    runs, values = case.methods.get(method, {}), list(case.values(method).values())
    refused = sum("refused" in run for run in runs.values())
    if not values:
        return "refused" if refused else "-"
    note = f" ({refused} of {len(runs)} refused)" if refused else ""
    if not refused and len(runs) < len(case.methods.get(LLM, {})):
        note = f" ({len(runs)} draw{'s' * (len(runs) > 1)})"
    return f"{np.mean(values):.3f}{note}"


def points(gain: tuple[float, float] | None) -> str:
    if gain is None:
        return "-"
    error = "" if np.isnan(gain[1]) else f" ± {100 * gain[1]:.1f}"
    return f"{100 * gain[0]:+.1f}{error}"


def summary(regimes: dict[str, list[Results]]) -> Iterator[str]:
    methods = [name for name in SHOWN if name not in VOTES]
    yield (
        f"| | cases | {' | '.join(NAMES.get(name, name) for name in methods)} "
        "| silr - LLM | silr - best rival | cases below the LLM by more than half a point |"
    )
    yield "| --- |" + " --- |" * (len(methods) + 4)
    for name, cases in regimes.items():
        means = [mean_of(cases, method) for method in methods]
        over_llm = [gain for case in cases if (gain := case.gain(LLM))]
        over_rival = [gain for case in cases if (rival := case.best_rival()) and (gain := case.gain(rival))]
        below = f"{sum(gain[0] < -HALF_A_POINT for gain in over_llm)} of {len(over_llm)}" if over_llm else "-"
        cells = [name, str(len(cases)), *means, points(mean_gain(over_llm)), points(mean_gain(over_rival)), below]
        yield f"| {' | '.join(cells)} |"


def mean_of(cases: Sequence[Results], method: str, measure: str = "accuracy") -> str:
    """Mean over the cases; of how many, if some draw of a case was refused or has no result."""
    means = np.array([case.mean(method, measure) for case in cases])
    known = means[np.isfinite(means)]
    if not len(known):
        return "refused" if any(case.methods.get(method) for case in cases) and measure == "accuracy" else "-"
    return f"{known.mean():.3f}" + ("" if len(known) == len(cases) else f" (of {len(known)})")


def mean_gain(gains: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """Mean over the cases, whose draws are independent, and its standard error (NaN if a case has a single draw)."""
    if not gains:
        return None
    means, errors = np.array(gains).T
    return float(means.mean()), float(np.sqrt((errors**2).sum()) / len(gains))


def over_cases(gains: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """Mean over the cases, and its standard error by their spread: some have a single draw."""
    return paired([gain for gain, _ in gains], np.zeros(len(gains)).tolist()) if gains else None


def other_measures(regimes: dict[str, list[Results]]) -> Iterator[str]:
    """One row a method and measure, one column a regime."""
    yield "| | " + " | ".join(regimes) + " |"
    yield "| --- |" + " --- |" * len(regimes)
    for measure, words in MEASURES.items():
        for method in MEASURED:
            cells = [mean_of(cases, method, measure) for cases in regimes.values()]
            if any(cell != "-" for cell in cells):
                yield f"| {words}, {NAMES.get(method, method)} | {' | '.join(cells)} |"


def estimates(regimes: dict[str, list[Results]]) -> Iterator[str]:
    """Mean estimate and mean truth over all draws of a regime, and how often the 95 % interval held the truth."""
    yield "| | draws | estimated | true | mean width of the interval | intervals that hold the true accuracy |"
    yield "| --- |" + " --- |" * 5
    found: list[dict[str, float]] = []
    rows = [(name, list(estimates_of(cases))) for name, cases in regimes.items()]
    for name, each in rows:
        found += each
        yield estimate_row(name, each)
    yield estimate_row("all", found)


def estimates_of(cases: Sequence[Results]) -> Iterator[dict[str, float]]:
    for case in cases:
        for run in case.methods.get(OURS, {}).values():
            if "estimate" in run:
                yield run["estimate"]


def estimate_row(name: str, found: Sequence[dict[str, float]]) -> str:
    if not found:
        return f"| {name} | 0 | - | - | - | - |"
    given, low, high, true = (np.array([each[key] for each in found]) for key in ("accuracy", "low", "high", "true"))
    held = ((low <= true) & (true <= high)).sum()
    cells = [
        f"{given.mean():.3f}",
        f"{true.mean():.3f}",
        f"{(high - low).mean():.3f}",
        f"{held} ({held / len(found):.0%})",
    ]
    return f"| {name} | {len(found)} | {' | '.join(cells)} |"


if __name__ == "__main__":
    write_case_report()
