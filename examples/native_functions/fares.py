"""Railway fares: functions that run as nodes, in containers."""

from __future__ import annotations

import datetime as dt

import conducto as co

CENTS_PER_KM = 14


class Money:
    """An amount in cents that can be an argument of a node."""

    def __init__(self, cents: int) -> None:
        self.cents = cents

    def to_str(self) -> str:
        """Return the text for the command line."""
        return f"{self.cents / 100:.2f}"

    @staticmethod
    def from_str(text: str) -> Money:
        """Parse the text, in the container."""
        return Money(round(float(text) * 100))


def price(
    distance_km: float,
    passengers: int = 1,
    first_class: bool = False,
    discount: float | None = None,
) -> None:
    """Calculate the price of a leg."""
    cents = distance_km * CENTS_PER_KM * passengers * (1.6 if first_class else 1)
    cents *= 1 - (discount or 0)
    total = Money(round(cents))
    print(f"{distance_km:g} km for {passengers}, discount {discount}: {total.to_str()}")
    leg = f"legs/{distance_km:g}-{'first' if first_class else 'second'}"
    co.data.pipeline.puts(leg, str(total.cents).encode())


def timetable(stations: list[str], leaving: dt.date, minutes: list[int]) -> None:
    """Print the time at each station."""
    when = dt.datetime.combine(leaving, dt.time(8, 30))
    for station, ride in zip(stations, [0, *minutes], strict=True):
        when += dt.timedelta(minutes=ride)
        print(f"{when:%Y-%m-%d %H:%M}  {station}")


def total(budget: Money, title: str) -> str:
    """Add up the legs. Conducto prints the returned text."""
    legs = co.data.pipeline.list("legs")
    spent = Money(sum(int(co.data.pipeline.gets(leg)) for leg in legs))
    verdict = "within" if spent.cents <= budget.cents else "beyond"
    return f"{title}: {spent.to_str()} is {verdict} {budget.to_str()}"
