"""What a reader should be careful about, in plain words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from silr.labels import FEW_GOLD
from silr.report.record import Record
from silr.report.words import inline, percent, short
from silr.summary import remarks, verdict

CLOSE_TO_ZERO = 0.1  # of the lower limit of theta - theta'
FEWEST_IN_A_SET = 5
VANISHED, LOST = 0.01, 0.2


@dataclass(frozen=True)
class Caution:
    """One thing to be careful about: `level` is "serious", "careful" or "note"."""

    level: str
    title: str
    words: str


def find_warnings(record: Record, summary: dict[str, Any]) -> list[Caution]:
    """All warnings about a run, the serious ones first.

    Parameters
    ----------
    record : Record
    summary : dict
        What `silr.summary.summary` gives for the record.
    """
    checks = (
        _stopped,
        _unfinished,
        _no_better,
        _remarks,
        _chance,
        _signal,
        _gold,
        _sets,
        _classes,
        _missing,
        _oracle,
        _table,
    )
    found = [warning for check in checks for warning in check(record, summary)]
    order = ("serious", "careful", "note")
    return sorted(found, key=lambda warning: order.index(warning.level))


def wins_and_losses(record: Record) -> tuple[int, int] | None:
    """Gold texts where the refined label is right and the LLM's wrong, and the reverse; None without gold."""
    if record.corpus is None or not (drawn := record.corpus.gold >= 0).any():
        return None
    gold = record.corpus.gold[drawn]
    before, after = record.llm[drawn] == gold, record.best.labels[drawn] == gold
    return int((after & ~before).sum()), int((before & ~after).sum())


def _stopped(record: Record, _: dict[str, Any]) -> Iterator[Caution]:
    last = record.iterations[-1]
    if "stopped" not in last.metrics:
        return
    kept = f"The labels of iteration {record.best_iteration_} are the result."
    if record.best_iteration_ == 0 and last.number > 1:
        kept = "This page shows the LLM's labels, as the iterations before were no better."
    elif record.best_iteration_ == 0:
        kept = "It was the first iteration, so nothing was refined: this page shows the LLM's labels."
    why = short(last.metrics["stopped"], 600)
    words = f"{why[0].upper()}{why[1:]}. {kept}"
    yield Caution("serious", f"The run stopped after iteration {last.number}", words)


def _unfinished(record: Record, _: dict[str, Any]) -> Iterator[Caution]:
    if record.unfinished:
        done = record.iterations[-1].number
        words = (
            f"{done} of {done + record.unfinished} iterations are finished, and this page shows the last of them. The "
            "same silr refine command goes on where it stopped."
        )
        yield Caution("careful", "The run was cut off", words)


def _no_better(record: Record, summary: dict[str, Any]) -> Iterator[Caution]:
    rows, best = summary["iterations"], summary["best_iteration"]
    if best == 0 and "stopped" in rows[-1] and len(rows) == 2:
        return  # nothing was refined
    for line in verdict(summary):
        if not line.startswith("Stopped"):  # that has a warning of its own
            yield Caution("serious", "The refined labels are not better", line)
    before, after = rows[0].get("true_accuracy"), rows[best].get("true_accuracy")
    if best and before is not None and after is not None and after <= before:
        words = f"By the true labels {percent(after)} of the refined labels are right, {percent(before)} of the LLM's."
        yield Caution("serious", "By the truth the refined labels are not better", words)


def _remarks(_: Record, summary: dict[str, Any]) -> Iterator[Caution]:
    for line in remarks(summary):
        yield Caution("careful", "About the classifier", line)


def _chance(record: Record, summary: dict[str, Any]) -> Iterator[Caution]:
    """The gain on the gold texts, with a normal interval from the linearised variance of a weighted mean."""
    rows, best, corpus = summary["iterations"], summary["best_iteration"], record.corpus
    if best == 0 or corpus is None or not (drawn := corpus.gold >= 0).any():
        return
    gold, w = corpus.gold[drawn], corpus.weight[drawn] / corpus.weight[drawn].sum()
    better = (record.best.labels[drawn] == gold).astype(float) - (record.llm[drawn] == gold)
    gain = float(w @ better)
    half = 1.96 * float(np.sqrt(w**2 @ (better - gain) ** 2))
    estimated = rows[best].get("estimated_accuracy", 0) >= rows[0].get("estimated_accuracy", 0)
    if estimated and gain - half <= 0:
        words = (
            f"On the {len(gold)} gold texts the refined labels gain {100 * gain:.0f} points, with a 95% interval of "
            f"{100 * (gain - half):.0f} to {100 * (gain + half):.0f} that includes 0. More gold labels would tell."
        )
        yield Caution("careful", "The gain may be chance", words)


def _signal(record: Record, _: dict[str, Any]) -> Iterator[Caution]:
    """The weakest pair of sets among those that trained or are the result."""
    found = []
    for each in record.iterations[: record.best_iteration_ + 1]:
        if each.priors is None or each.priors.source != "gold":
            continue
        later, earlier = np.tril_indices(len(each.priors.theta), -1)
        low = each.priors.signal_interval[later, earlier, 0]
        worst = int(low.argmin())
        found.append((float(low[worst]), each, (int(later[worst]), int(earlier[worst]))))
    if not found:
        return
    low, each, (k, j) = min(found, key=lambda one: one[0])
    if low >= CLOSE_TO_ZERO:
        return
    assert each.priors is not None
    high = float(each.priors.signal_interval[k, j, 1])
    labels = "the LLM's labels" if each.number == 0 else f"the labels of iteration {each.number}"
    names = [inline(record.classes_[number], 40) for number in (j, k)]
    others = ", leaving out all other classes" if len(record.classes_) > 2 else ""
    words = (
        f"In {labels} the sets {names[0]} and {names[1]} differ by {100 * float(each.priors.signal[k, j]):.0f} points "
        f"in their share of {names[1]}{others} (theta - theta', 95% interval {100 * low:.0f} to {100 * high:.0f}). "
    )
    if low <= 0:
        yield Caution("serious", "The signal may be nothing", words + "The interval includes 0: the sets may be alike.")
    else:
        yield Caution("careful", "Weak signal", words + "Close to 0 the classifier has little to learn from.")


def _gold(record: Record, _: dict[str, Any]) -> Iterator[Caution]:
    priors = record.iterations[0].priors
    n = int(record.run.manifest.get("gold", 0))
    if priors is not None and priors.source == "given" and not n:
        words = (
            "The shares of the classes were given (theta), not estimated. They describe the LLM's labels, so how "
            "accurate the refined labels are is unknown; 50 to 100 labels by hand would tell."
        )
        yield Caution("careful", "No gold labels", words)
    elif priors is None:
        words = (
            "The LLM's scores were taken at their word, and the class prior was guessed from them. If they order the "
            "texts well, the refined labels are better than the LLM's; if they do not, they are noise, and nothing "
            "here can tell. 50 to 100 labels by hand would."
        )
        if record.iterations[0].metrics.get("of") == 1:
            words = (
                "The LLM's labels were taken at their word, and changed where texts alike have others. Nothing here "
                "can tell whether that made them better. 50 to 100 labels by hand would."
            )
        labels = record.iterations[0].labels
        if len(np.unique(labels[labels >= 0])) == 1:
            words = f"The LLM's labels are all the same, and often its scores are worth nothing then. {words}"
        yield Caution("serious", "No gold labels", words)
    elif n and n < FEW_GOLD:
        words = "Every estimate on this page is rough. 50 to 100 gold labels are enough."
        yield Caution("careful", f"Only {n} gold labels", words)


def _sets(record: Record, _: dict[str, Any]) -> Iterator[Caution]:
    """Refined labels with hardly any gold among them."""
    priors, corpus = record.best.priors, record.corpus
    if priors is None or priors.source != "gold" or corpus is None:
        return
    counts = np.bincount(record.best.labels[corpus.gold >= 0], minlength=len(record.classes_))
    few = [f"{inline(record.classes_[k], 40)} ({counts[k]})" for k in np.flatnonzero(counts < FEWEST_IN_A_SET)]
    if few:
        named = ", ".join(few[:8]) + (f" and {len(few) - 8} more" if len(few) > 8 else "")
        words = f"Of the texts with these refined labels very few have gold, so their theta is a guess: {named}."
        yield Caution("careful", "Classes with hardly any gold label", words)


def _classes(record: Record, _: dict[str, Any]) -> Iterator[Caution]:
    """Classes that vanish: almost no text left, or fewer and fewer in every iteration."""
    K = len(record.classes_)
    shares = np.array([_shares(each.labels, K) for each in record.iterations[: record.best_iteration_ + 1]])
    gone, falling = [], []
    for k in range(K):
        course, name = shares[1:, k], inline(record.classes_[k], 40)
        if len(course) and course[-1] < VANISHED and course[-1] < shares[0, k]:
            gone.append(f"{name}: {percent(shares[0, k])} of the LLM's labels, {percent(course[-1])} of the refined")
        elif len(course) >= 3 and (np.diff(course) < 0).all() and course[-1] < (1 - LOST) * course[0]:
            falling.append(f"{name}: {percent(course[0])} in iteration 1, {percent(course[-1])} in the last")
    if gone:
        words = f"{'; '.join(gone[:8])}. If these classes exist, the classifier has lost them."
        yield Caution("serious", "Nearly vanished", words)
    if falling:
        words = f"{'; '.join(falling[:8])}. A class that shrinks in every iteration may be eaten by the others."
        yield Caution("careful", "Shrinking in every iteration", words)


def _missing(record: Record, _: dict[str, Any]) -> Iterator[Caution]:
    missing = int((record.llm < 0).sum())
    if missing:
        share = percent(missing / len(record.llm))
        words = "They trained nothing, and got a refined label all the same."
        yield Caution("note", f"{missing:,} texts ({share}) have no label of the LLM", words)
    corpus = record.corpus
    if corpus is not None and corpus.truth is not None and (corpus.truth < 0).any():
        words = "They are left out wherever this page shows a true accuracy."
        yield Caution("note", f"{int((corpus.truth < 0).sum()):,} texts have no true label", words)


def _oracle(record: Record, _: dict[str, Any]) -> Iterator[Caution]:
    priors = record.iterations[0].priors
    if priors is not None and priors.source == "oracle":
        words = (
            "The class shares came from all true labels (--oracle). That is for research only: nobody who needs silr "
            "has them, and the accuracies here are no estimates."
        )
        yield Caution("serious", "Oracle priors", words)


def _table(record: Record, _: dict[str, Any]) -> Iterator[Caution]:
    problems = [short(problem, 400) for problem in record.problems]
    if record.corpus is None:
        why = "; ".join(problems) or "The run was made in Python, and a run keeps no texts"
        words = f"{why}. What needs the texts or the gold labels themselves is left out of this page."
        yield Caution("careful", "The texts cannot be shown", words)
    else:
        for problem in problems:
            yield Caution("note", "The gold labels have changed since", problem)


def _shares(labels: Any, K: int) -> Any:
    known = labels[labels >= 0]
    return np.bincount(known, minlength=K) / max(len(known), 1)
