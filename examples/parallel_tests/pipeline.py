"""Test suites side by side on a shared database that is removed whatever happens.

All is well:     python pipeline.py --local --run
A test fails:    python pipeline.py --broken --local --run
"""

import conducto as co

DATABASE = "/conducto/data/pipeline/stock.sqlite"
SUITES = ("orders", "prices", "shelves")


def check(broken: bool = False) -> co.Serial:
    """Set up a stock, run the test suites on it at once, clean up in any case.

    Args:
        broken: Fill the stock with a wrong price, to see what a failure looks like.
    """
    image = co.Image("python:3.11-slim", copy_dir=".")
    # The outer Serial goes on after an error and still ends in error: a "finally". The inner
    # one stops, because without a stock there is nothing to test.
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
