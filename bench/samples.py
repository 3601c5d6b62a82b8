"""Repeated values of one metric, and their statistics."""

import statistics
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sample:
    """The values of one metric, in the order of measurement.

    Attributes:
        values: At least one, all in the same unit.
    """

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The value to report."""
        return statistics.median(self.values)

    @property
    def noise(self) -> float | None:
        """Largest minus smallest value, as a share of the median; None for a single value."""
        if len(self.values) < 2 or not self.median:
            return None
        return (max(self.values) - min(self.values)) / abs(self.median)

    def over(self, floor: "Sample") -> "Sample":
        """Return this sample as multiples of ``floor``.

        Samples of equal length were measured alternately and are divided pair by pair, because a
        temporary slowdown affects both.
        """
        if len(self.values) == len(floor.values):
            pairs = zip(self.values, floor.values, strict=True)
            return Sample(tuple(value / least for value, least in pairs))
        return Sample((self.median / floor.median,))
