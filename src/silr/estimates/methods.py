"""The methods paragraph of a paper, with the numbers filled in."""

from __future__ import annotations

from silr.estimates.evidence import ASSUMED, FEWEST_OF_GROUP, OF_LABELS, OF_RUN
from silr.estimates.result import Estimates
from silr.io.words import short

REFERENCES = (
    "Angelopoulos, Duchi, Zrnic, “PPI++: efficient prediction-powered inference”, 2023, arXiv 2311.01453.",
    "Zrnic, Candès, “Cross-prediction-powered inference”, PNAS 121, 2024.",
    "Särndal, Swensson, Wretman, “Model assisted survey sampling”, Springer, 1992.",
    "Korn, Graubard, “Confidence intervals for proportions with small expected number of positive counts estimated "
    "from survey data”, Survey Methodology 24, 1998.",
    "Newcombe, “Interval estimation for the difference between independent proportions”, Statistics in Medicine 17, "
    "1998.",
    "Egami, Hinck, Stewart, Wei, “Using imperfect surrogates for downstream inference”, NeurIPS 2023, arXiv "
    "2306.04746: why LLM labels alone are not enough.",
)
MOST_CLASSES = 12


def methods(result: Estimates, annotator: str | None = None) -> list[str]:
    """The paragraph, a sentence each; `annotator` says who gave the LLM's labels, where it is known."""
    names = ", ".join(f"“{short(name)}”" for name in result.classes[:MOST_CLASSES])
    left = len(result.classes) - MOST_CLASSES
    names += f" and {left} more" if left > 0 else ""
    lines = [f"The corpus has {result.texts:,} texts in {len(result.classes)} classes ({names})."]
    lines += [annotator] if annotator else []
    return [*lines, _drawing(result), *_rest(result), *_predictions(result), *_intervals(result)]


def _drawing(result: Estimates) -> str:
    """How the gold labels came to be."""
    if ASSUMED in result.assumptions:
        return (
            f"{result.gold:,} texts have a gold label, given by hand; they are taken as drawn at random among the "
            "texts of each LLM label, and are weighted to the numbers of these."
        )
    return (
        f"{result.gold:,} texts were drawn with known probabilities and labelled by hand; each of these gold labels "
        "counts with one over its probability."
    )


def _rest(result: Estimates) -> list[str]:
    """Gold labels that judge nothing."""
    if not result.as_they_are:
        return []
    return [
        f"Further gold labels, {result.as_they_are:,} whose probability of being drawn is unknown, count for their own "
        "texts only."
    ]


def _predictions(result: Estimates) -> list[str]:
    """Where the predictions come from, and how they are corrected."""
    predicted = f"The model expects of each text {result.predictor}."
    if result.predictor == OF_RUN:
        predicted = (
            "A model expects a probability of each class of each text; it did not know the gold label of this text "
            "(cross-fitted probabilities of silr; Zrnic and Candès 2024)."
        )
    elif result.predictor == OF_LABELS:
        predicted = (
            "Each text has the probabilities of the classes among other gold texts with the same label (Zrnic and "
            "Candès 2024)."
        )
    return [
        predicted,
        "Shares are means of these probabilities over all texts, corrected by the weighted mean of their errors on the "
        "gold texts (prediction-powered inference; Angelopoulos et al. 2023; Särndal et al. 1992).",
        f"The power-tuning weight of the predictions is {result.power:.2f}: 0 is the gold labels alone, 1 the "
        "predictions in full.",
    ]


def _intervals(result: Estimates) -> list[str]:
    lines = [
        "Intervals have a level of 95%: Jeffreys' interval for the effective number of gold labels, made wider by "
        "Student's distribution (Korn and Graubard 1998)."
    ]
    if result.by:
        lines.append(
            f"A group with fewer than {FEWEST_OF_GROUP} gold labels borrows the correction of all texts. Intervals of "
            "differences between groups are Newcombe's (1998)."
        )
    lines.append(
        "Accuracy, precision, recall, F1, kappa and alpha come from the confusion matrix, estimated in the same way; "
        "their intervals are by the delta method."
    )
    return lines
