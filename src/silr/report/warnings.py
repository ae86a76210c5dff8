"""Cautions for the reader of a report, in plain words."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from silr.io.codebook import gold_example
from silr.io.label_codes import FEW_GOLD
from silr.io.words import Summary, inline, percent, short
from silr.refine.record import Record
from silr.report.summary import remarks
from silr.stats.priors import Priors

CLOSE_TO_ZERO = 0.1  # of the lower limit of theta - theta'
FEWEST_IN_A_SET = 5
VANISHED, LOST = 0.01, 0.2

UNJUDGED_SCORES = (
    "The LLM's scores were taken at their word, and the class prior was guessed from them. If they order the texts "
    "well, the refined labels are better than the LLM's; if they do not, they are noise, and nothing here can tell. 50 "
    "to 100 labels by hand would."
)
UNJUDGED_LABELS = (
    "The LLM's labels were taken at their word, and changed where texts alike have others. Nothing here can tell "
    "whether that made them better. 50 to 100 labels by hand would."
)
LEVELS = ("serious", "careful", "note")


class Caution(NamedTuple):
    """A warning: its level ("serious", "careful" or "note"), a title, and words."""

    level: str
    title: str
    words: str


def worst_first(cautions: Iterable[Caution]) -> list[Caution]:
    """Cautions sorted by level."""
    return sorted(cautions, key=lambda caution: LEVELS.index(caution.level))


def find_warnings(record: Record, summary: Summary) -> list[Caution]:
    """All warnings about a run, the serious ones first."""
    checks = [_stopped, _unfinished, _verdict, _truth, _remarks, _signal, _gold, _sets, _classes, _missing]
    checks += [_oracle, _table, _examples]
    return worst_first(caution for check in checks for caution in check(record, summary))


def _stopped(record: Record, _: Summary) -> Iterator[Caution]:
    last = record.iterations[-1]
    if last.notes.stopped is None:
        return
    best, why = record.best_iteration, short(last.notes.stopped, 600)
    kept = f"The labels of iteration {best} are the result." if best else record.verdict.words
    yield Caution("serious", f"The run stopped after iteration {last.number}", f"{why[0].upper()}{why[1:]}. {kept}")


def _unfinished(record: Record, _: Summary) -> Iterator[Caution]:
    if record.missing:
        done, missing = record.iterations[-1].number, record.missing
        words = (
            f"{done} of {done + missing} iterations are finished, and this page shows the last of them. The "
            "same silr refine command goes on where it stopped."
        )
        yield Caution("careful", "The run was cut off", words)


def _verdict(record: Record, summary: Summary) -> Iterator[Caution]:
    """The verdict, if it is one to be careful about."""
    verdict = record.verdict
    title = {"unclear": "No gain can be shown", "worse": "The refined labels look worse"}.get(verdict.finding)
    if verdict.kept == "llm" and verdict.finding != "stopped":  # `_stopped` says that
        yield Caution("serious", "The LLM's labels are the result", verdict.words)
    elif title is not None and verdict.source == "gold":
        yield Caution("serious" if verdict.finding == "worse" else "careful", title, verdict.words)


def _truth(record: Record, summary: Summary) -> Iterator[Caution]:
    rows, best = summary["iterations"], summary["best_iteration"]
    before, after = rows[0].get("true_accuracy"), rows[best].get("true_accuracy")
    if best and before is not None and after is not None and after <= before:
        words = f"By the true labels {percent(after)} of the refined labels are right, {percent(before)} of the LLM's."
        yield Caution("serious", "By the truth the refined labels are not better", words)


def _remarks(record: Record, _: Summary) -> Iterator[Caution]:
    for line in remarks(record):
        yield Caution("note", "About the classifier", line)


def _signal(record: Record, _: Summary) -> Iterator[Caution]:
    """The weakest pair of sets among those that trained or are the result; the default method trains on none."""
    if record.is_posterior:
        return
    judged = [
        (number, iteration.priors)
        for number, iteration in enumerate(record.iterations[: record.best_iteration + 1])
        if iteration.priors is not None and iteration.priors.source == "gold"
    ]
    number, priors = min(judged, key=lambda one: weakest_signal(one[1])[1], default=(0, None))
    if priors is None:
        return
    signal, low, high, (k, j) = weakest_signal(priors)
    if low >= CLOSE_TO_ZERO:
        return
    whose = "the LLM" if number == 0 else f"iteration {number}"
    names = [inline(record.class_names[code], 40) for code in (j, k)]
    others = ", all other classes left out," if len(record.class_names) > 2 else ""
    words = (
        f"Among texts that {whose} labelled {names[1]}{others} {names[1]} is the truth "
        f"{100 * signal:.0f} percentage points more often than among those labelled {names[0]}"
        f" (95% interval {100 * low:.0f} to {100 * high:.0f}). "
    )
    if low <= 0:
        yield Caution("serious", "The labels may say nothing", words + "So the two labels may mean the same.")
    else:
        yield Caution("careful", "Weak signal", words + "With so little difference there is little to learn from.")


def weakest_signal(priors: Priors) -> tuple[float, float, float, tuple[int, int]]:
    """The signal of the two sets that are hardest to tell apart, its interval, and the sets."""
    pairs = [(k, j) for k in range(len(priors.theta)) for j in range(k)]
    worst = min(pairs, key=lambda pair: float(priors.signal_interval[pair][0]))
    low, high = map(float, priors.signal_interval[worst])
    return float(priors.signal[worst]), low, high, worst


def _gold(record: Record, _: Summary) -> Iterator[Caution]:
    priors = record.iterations[0].priors
    n = int(record.run.manifest.get("gold", 0))
    if priors is not None and priors.source == "given" and not n:
        words = (
            "How often the LLM is right was given (--theta), not estimated. How often the refined labels are right is "
            "unknown; 50 to 100 labels by hand would tell."
        )
        yield Caution("careful", "No gold labels", words)
    elif priors is None:
        words = UNJUDGED_LABELS if record.is_posterior else UNJUDGED_SCORES
        labels = record.iterations[0].labels
        if len(np.unique(labels[labels >= 0])) == 1:
            words = f"The LLM's labels are all the same, and often its scores are worth nothing then. {words}"
        yield Caution("serious", "No gold labels", words)
    elif n and n < FEW_GOLD:
        words = "Every estimate on this page is rough. 50 to 100 gold labels are enough."
        yield Caution("careful", f"Only {n} gold labels", words)


def _sets(record: Record, _: Summary) -> Iterator[Caution]:
    """Refined labels with hardly any gold among them."""
    priors, corpus = record.best.priors, record.corpus
    if priors is None or priors.source != "gold" or corpus is None:
        return
    counts = np.bincount(record.best.labels[corpus.gold >= 0], minlength=len(record.class_names))
    few = [f"{inline(record.class_names[k], 40)} ({counts[k]})" for k in np.flatnonzero(counts < FEWEST_IN_A_SET)]
    if few:
        named = ", ".join(few[:8]) + (f" and {len(few) - 8} more" if len(few) > 8 else "")
        words = f"Very few texts with these refined labels have gold, so how often they are right is a guess: {named}."
        yield Caution("careful", "Classes with hardly any gold label", words)


def _classes(record: Record, _: Summary) -> Iterator[Caution]:
    """Classes that vanish: almost no text left, or fewer and fewer in every iteration."""
    K = len(record.class_names)
    shares = np.array([_shares(judged.labels, K) for judged in record.iterations[: record.best_iteration + 1]])
    gone, falling = [], []
    for k in range(K):
        course, name = shares[1:, k], inline(record.class_names[k], 40)
        if len(course) and course[-1] < VANISHED and course[-1] < shares[0, k]:
            gone.append(f"{name}: {percent(shares[0, k])} of the LLM's labels, {percent(course[-1])} of the refined")
        elif len(course) >= 3 and (np.diff(course) < 0).all() and course[-1] < (1 - LOST) * course[0]:
            falling.append(f"{name}: {percent(course[0])} in iteration 1, {percent(course[-1])} in the last")
    if gone:
        words = f"{'; '.join(gone[:8])}. If such texts exist, they now have other labels."
        yield Caution("serious", "Nearly vanished", words)
    if falling:
        words = f"{'; '.join(falling[:8])}. A class that shrinks in every iteration may be eaten by the others."
        yield Caution("careful", "Shrinking in every iteration", words)


def _missing(record: Record, _: Summary) -> Iterator[Caution]:
    missing = int((record.llm < 0).sum())
    if missing:
        share = percent(missing / len(record.llm))
        words = "They got a refined label all the same."
        yield Caution("note", f"{missing:,} texts ({share}) have no label of the LLM", words)
    corpus = record.corpus
    if corpus is not None and corpus.truth is not None and (corpus.truth < 0).any():
        words = "They are left out wherever this page shows a true accuracy."
        yield Caution("note", f"{int((corpus.truth < 0).sum()):,} texts have no true label", words)


def _oracle(record: Record, _: Summary) -> Iterator[Caution]:
    priors = record.iterations[0].priors
    if priors is not None and priors.source == "oracle":
        words = (
            "How often the LLM is right was counted with all true labels (--oracle). That is for research only: who "
            "needs silr has no true labels."
        )
        yield Caution("serious", "Oracle priors", words)


def _table(record: Record, _: Summary) -> Iterator[Caution]:
    problems = [short(problem, 400) for problem in record.problems]
    if record.corpus is None:
        why = "; ".join(problems) or "The run was made in Python, and a run keeps no texts"
        words = f"{why}. What needs the texts or the gold labels themselves is left out of this page."
        yield Caution("careful", "The texts cannot be shown", words)
    else:
        for problem in problems:
            yield Caution("note", "The gold labels have changed since", problem)


def _examples(record: Record, _: Summary) -> Iterator[Caution]:
    """Gold texts that the LLM has read as examples."""
    corpus, codebook = record.corpus, record.codebook
    if corpus is None or codebook is None:
        return
    if words := gold_example(codebook, corpus.texts, np.flatnonzero(corpus.gold >= 0).tolist(), short(corpus.name)):
        ending = "The LLM has read its label, so the LLM's accuracy is overestimated. Clear its gold label."
        yield Caution("careful", "A gold text is an example", f"{words}. {ending}")


def _shares(labels: NDArray[np.int16], K: int) -> NDArray[np.float64]:
    known = labels[labels >= 0]
    return np.asarray(np.bincount(known, minlength=K) / max(len(known), 1))
