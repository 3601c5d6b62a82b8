"""A day of sales each: one pipeline for a day, or one for many."""

import conducto as co


def load(partition: co.Partition) -> int:
    """Return the number of hours of a day, which stands for its rows."""
    hours = int((partition.end - partition.start).total_seconds() / 3600)
    print(f"{partition}: {partition.start} to {partition.end}, {hours} hours")
    return hours


def compare(partition: co.Partition, rows: int) -> None:
    """Compare a day with the one before."""
    print(f"{rows} rows of {partition} after those of {partition.previous}")


def daily(partition: co.Partition) -> co.Serial:
    """Load one day, and compare it with the day before.

    Args:
        partition: The day.
    """
    root = co.Serial(image=co.Image("python:3.11-slim", copy_dir="."))
    root["load"] = rows = co.Exec(load, partition)
    root["compare"] = co.Exec(compare, partition, rows.result)
    return root


if __name__ == "__main__":
    co.main(default=daily, partitions=co.daily("2026-03-01", zone="Europe/Berlin"))
