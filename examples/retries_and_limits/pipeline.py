"""Retries, limits and allowed failures: commands fail, and the pipeline is done."""

import conducto as co

# Each attempt appends a line, so the number of lines is the number of attempts.
FLAKY = """
echo attempt >> /conducto/data/pipeline/attempts
count=$(wc -l < /conducto/data/pipeline/attempts)
echo "this is attempt $count"
test "$count" -ge 3
"""

# Prints how many commands of its kind run at the same time.
BUSY = """
mkdir -p /conducto/data/pipeline/busy
touch "/conducto/data/pipeline/busy/$WHO"
sleep 0.5
ls /conducto/data/pipeline/busy | wc -l | tee -a /conducto/data/pipeline/at-once
rm "/conducto/data/pipeline/busy/$WHO"
"""


def rough() -> co.Serial:
    """Run commands of which some fail."""
    root = co.Serial(image="python:3.11-slim", cpu=0.25, mem=0.25)

    # The third of three attempts passes.
    root["Flaky service"] = co.Exec(FLAKY)
    root["Flaky service"].on_error(co.callback.retry(2))

    # Skipped after two failed attempts.
    root["Nice to have"] = co.Exec("echo 'not today' >&2; exit 1")
    root["Nice to have"].on_error(co.callback.retry_then_skip(1))

    # A child that takes too long is killed; the group is done nevertheless.
    root["Best effort"] = co.Parallel(suppress_errors=True)
    root["Best effort/Quick"] = co.Exec("echo quick")
    root["Best effort/Never ends"] = co.Exec("echo waiting; sleep 600", max_time="1s")

    # Two of the four run at a time.
    root["Narrow bridge"] = co.Parallel(max_concurrent=2)
    for name in ("Ann", "Bob", "Cleo", "Dan"):
        root["Narrow bridge"][name] = co.Exec(BUSY, env={"WHO": name})
    return root


if __name__ == "__main__":
    co.main(default=rough)
