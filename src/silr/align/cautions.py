"""Warnings about an alignment: above all a reward that was gained at the cost of what it stands for."""

from collections.abc import Iterator

from silr.align.measures import Measured, difference
from silr.report.warnings import Caution, worst_first

LENGTH_CHANGE, REPETITION_RISE, DIVERSITY_LOSS, FAR = 1.5, 0.1, 0.7, 10.0


def find_warnings(before: Measured, after: Measured, kl: float, held_out: bool) -> list[Caution]:
    """Return what the user should know of completions of the same prompts, the worst first.

    `kl` is the KL divergence of whole completions, in nats; `held_out` tells whether training left these prompts out.
    """
    return worst_first(_cautions(before, after, kl, held_out))


def _cautions(before: Measured, after: Measured, kl: float, held_out: bool) -> Iterator[Caution]:
    gain, error = difference(before.reward, after.reward)
    if before.judge is not None and after.judge is not None:
        judged, judge_error = difference(before.judge, after.judge)
        if gain > 0 and judged < 0:
            sure = judged < -2 * judge_error and gain > 2 * error
            doubt = "" if sure else " The change is within two standard errors: more prompts would tell."
            yield Caution(
                "serious" if sure else "careful",
                "The reward rose while the judge fell",
                f"The reward rose by {gain:.3f} and the judge fell by {-judged:.3f}: the policy has learned what the "
                f"reward likes, not what it stands for. Take a larger --kl, fewer --steps, or a better reward.{doubt}",
            )
    else:
        yield Caution("note", "No judge", "Only the reward itself says that anything became better; give a --judge.")
    if gain <= 2 * error:
        words = f"The reward changed by {gain:+.3f} with a standard error of {error:.3f}: no clear gain."
        yield Caution("careful", "No clear gain in reward", words)
    old, new = before.means(), after.means()
    longer = (new["tokens"] + 1) / (old["tokens"] + 1)
    if not 1 / LENGTH_CHANGE < longer < LENGTH_CHANGE:
        words = f"From {old['tokens']:.1f} tokens to {new['tokens']:.1f} on average: the reward may pay for length."
        yield Caution("careful", "The length changed", words)
    if new["repetition_2"] > old["repetition_2"] + REPETITION_RISE:
        words = f"{old['repetition_2']:.0%} of the word pairs repeated an earlier one, now {new['repetition_2']:.0%}."
        yield Caution("careful", "Completions repeat themselves", words)
    if new["distinct_2"] < DIVERSITY_LOSS * old["distinct_2"]:
        words = f"Distinct-2 fell from {old['distinct_2']:.2f} to {new['distinct_2']:.2f}: the answers grow alike."
        yield Caution("careful", "Less diversity", words)
    if kl > FAR:
        words = f"A completion is {kl:.1f} nats away from it on average; a larger --kl keeps the policy nearer."
        yield Caution("careful", "Far from the starting policy", words)
    if not held_out:
        words = "There are fewer than 20 prompts, so the samples are answers to the prompts of training."
        yield Caution("note", "No prompts were held out", words)
