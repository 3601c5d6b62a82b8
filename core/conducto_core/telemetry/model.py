"""Totals of attempts and runs, from which counters and histograms are made."""

from conducto_core.record import Record


class Series(Record):
    """The total of an instrument with some attributes.

    Attributes:
        name: Name of the instrument.
        attributes: ``(name, value)``.
        total: The sum of all values.
        counts: Number of values in each bucket of a histogram; the last one has no upper bound.
    """

    name: str
    attributes: tuple[tuple[str, str], ...] = ()
    total: float = 0.0
    counts: tuple[int, ...] = ()


class Totals(Record):
    """All totals since a time.

    Attributes:
        since: In seconds since the epoch.
    """

    since: float
    series: tuple[Series, ...] = ()
