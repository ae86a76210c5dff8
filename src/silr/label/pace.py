"""How fast a person labels."""

import statistics
import time

PAUSE = 180.0  # seconds; who takes longer has left the table
LATEST, FEWEST = 20, 3  # labels that tell the pace


class Pace:
    """Seconds from the moment when a text is shown to its label."""

    def __init__(self) -> None:
        self._seconds: list[float] = []
        self._shown = time.monotonic()

    def show(self) -> None:
        """A text is shown now."""
        self._shown = time.monotonic()

    def label(self) -> None:
        """The text that is shown gets its label now."""
        self._seconds.append(time.monotonic() - self._shown)

    def seconds_left(self, labels: int) -> float | None:
        """How long so many labels will take; None where nothing is left, or too little is known."""
        pace = [seconds for seconds in self._seconds[-LATEST:] if seconds < PAUSE]
        return statistics.median(pace) * labels if len(pace) >= FEWEST and labels > 0 else None
