"""How far a refinement is: a line on stdout for each iteration, and its steps on stderr."""

import time
from contextlib import ExitStack

from silr.io.progress import Advance, duration, progress
from silr.refine.iteration import Iteration


class RefineProgress(ExitStack):
    """Give its `on_iteration` and `on_step` to `silr.refine.table.refine_table`, inside a ``with``.

    There are `iterations` of them until the first one says how many.
    """

    def __init__(self, iterations: int, quiet: bool = False) -> None:
        super().__init__()
        self._iterations, self._quiet = iterations, quiet
        self._accuracy = ""
        self._advance: Advance | None = None
        self._first, self._began = 1, 0.0

    def on_step(self, number: int, done: int, total: int) -> None:
        """Show the step; the clock starts with the first one, however long the features took before it."""
        state = f"iteration {number} of {self._iterations}, step {done} of {total}"
        if self._advance is None:
            self._first, self._began = number, time.monotonic()
            shown = progress("Refining", self._iterations, "steps", done=number - 1, quiet=self._quiet)
            self._advance = self.enter_context(shown)
        self._advance(1 / total if done else 0.0, min(done, 1), state, self._accuracy)

    def on_iteration(self, iteration: Iteration) -> None:
        """Print what is known about the labels of a finished iteration."""
        self._iterations = iteration.notes.of
        accuracy = "estimated accuracy unknown"
        if iteration.priors is not None:
            low, high = iteration.priors.accuracy_interval
            accuracy = f"estimated accuracy {iteration.priors.accuracy:.1%} ({low:.0%} to {high:.0%})"
        self._accuracy = accuracy
        if iteration.number == 0:
            self._print(f"the LLM's labels: {accuracy}")
            return
        seconds = time.monotonic() - self._began
        left = seconds / (iteration.number - self._first + 1) * (self._iterations - iteration.number)
        self._print(
            f"iteration {iteration.number} of {self._iterations}: {accuracy}, {iteration.notes.changed:,} labels "
            f"changed, {duration(seconds)}" + (f", about {duration(left)} left" if round(left) else "")
        )

    def _print(self, line: str) -> None:
        if not self._quiet:
            print(line, flush=True)
