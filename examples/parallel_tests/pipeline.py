"""Parallel test suites on a shared database that is always removed.

All tests pass:  python pipeline.py --local --run
A test fails:    python pipeline.py --broken --local --run
"""

import conducto as co

DATABASE = "/conducto/data/pipeline/stock.sqlite"
SUITES = ("orders", "prices", "shelves")


def check(broken: bool = False) -> co.Serial:
    """Set up a stock, run the test suites on it at the same time, and always clean up.

    Args:
        broken: Fill the stock with a wrong price, so that a test fails.
    """
    image = co.Image("python:3.11-slim", copy_dir=".")
    # The outer Serial continues after an error and still ends in error: a "finally". The inner one
    # stops at an error, because the tests need the stock.
    with co.Serial(image=image, env={"DATABASE": DATABASE}, stop_on_error=False) as root:
        with co.Serial(name="Work"):
            co.Exec(f"python stock.py{' --wrong-price' if broken else ''}", name="Set up")
            with co.Parallel(name="Tests"):
                for suite in SUITES:
                    co.Exec(f"python -m unittest -v test_{suite}", name=suite)
        co.Exec('rm -v "$DATABASE"', name="Clean up")
    return root


if __name__ == "__main__":
    co.main(default=check)
