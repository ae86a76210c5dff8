"""A refinement as a whole: its iterations, whose labels are the result, and the verdict on it."""

from dataclasses import dataclass
from functools import cached_property

from silr.errors import InputError
from silr.io.files import Json
from silr.refine.iteration import Iteration
from silr.refine.verdict import Verdict, last_iteration, verdict_of


@dataclass(frozen=True)
class Refinement:
    """What a method made of the LLM's labels: a fitted `silr.LabelRefiner` has it, and a run that was read back."""

    iterations: list[Iteration]  # from 0, the LLM's labels
    class_names: list[str]

    @property
    def classifier_iteration(self) -> int:
        """Whose classifier predicts: the last one that the signal lasted to; NoSignalError if there is none."""
        return last_iteration(self.iterations)

    @property
    def best_iteration(self) -> int:
        """Whose labels are the result; 0 is the LLM's."""
        return self.verdict.iteration

    @property
    def best(self) -> Iteration:
        """The iteration whose labels are the result."""
        return self.iterations[self.best_iteration]

    @cached_property
    def verdict(self) -> Verdict:
        """The result in words, with what the gold labels say of it."""
        return verdict_of(self.iterations)

    @property
    def is_posterior(self) -> bool:
        """Whether the refined labels are the posterior's, which weighs what the LLM says of each text."""
        return len(self.iterations) > 1 and self.iterations[1].notes.kind == "posterior"

    @property
    def missing(self) -> int:
        """How many of the iterations that were wanted are still to come: the run was cut off."""
        last = self.iterations[-1]
        return 0 if last.notes.stopped else max(0, last.notes.of - last.number)

    @property
    def history(self) -> list[Json]:
        """For each iteration a dict of ``labels``, ``priors`` and ``metrics``, the notes as JSON values."""
        return [
            {"labels": each.labels, "priors": each.priors, "metrics": each.notes.to_dict()} for each in self.iterations
        ]

    def check_finished(self, where: object) -> None:
        """InputError if it was cut off: it would label new texts half as well, and nobody would see it."""
        last = self.iterations[-1] if self.iterations else None
        if last is None or last.number == 0:
            raise InputError(
                f"the run {where} has no finished iteration: run `silr refine` again, which goes on or says why it "
                "cannot"
            )
        if self.missing:
            fewer = f", or ask it for --iterations {last.number}" if last.notes.kind == "iteration" else ""
            raise InputError(
                f"the run {where} was cut off: it has {last.number} of {last.number + self.missing} iterations; run "
                f"`silr refine` again, which goes on where it stopped{fewer}"
            )
