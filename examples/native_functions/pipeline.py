"""Python functions as nodes: arguments are passed to the container.

python pipeline.py --passengers=3 --local --run
"""

import datetime as dt

import fares

import conducto as co


def trip(passengers: int = 2, leaving: dt.date = dt.date(2027, 5, 1)) -> co.Serial:
    """Plan a journey: prices and timetable at the same time, then the total."""
    # The image must have the source of the functions.
    image = co.Image("python:3.11-slim", copy_dir=".")
    root = co.Serial(image=image)
    root["Plan"] = co.Parallel()
    root["Plan/Outward"] = co.Exec(fares.price, 120.5, passengers=passengers, discount=0.25)
    # Arguments belong to the function; parameters of the node go into params=.
    root["Plan/Return"] = co.Exec(
        fares.price, 98.0, passengers, first_class=True, params=co.Params(cpu=0.5, mem=0.5)
    )
    root["Plan/Timetable"] = co.Exec(
        fares.timetable,
        stations=["Old Town", "Bridge, north side", "Harbour"],
        leaving=leaving,
        minutes=[42, 17],
    )
    summary = co.Exec(fares.total, budget=fares.Money(12000), title="A day's outing")
    # Parameters can also be set later.
    summary.set(max_time="1m", doc="Adds up what the legs cost.")
    root["Total"] = summary
    return root


if __name__ == "__main__":
    co.main(default=trip)
