"""Results: functions return values, and later functions use them.

python pipeline.py --local --run
"""

import growth

import conducto as co


def compare(days: int = 30, goal: float = 90.0) -> co.Serial:
    """Simulate several growth rates at the same time, then choose one."""
    root = co.Serial(image=co.Image("python:3.11-slim", copy_dir="."))
    root["Simulate"] = co.Parallel(cpu=0.5, mem=0.5)
    for rate in (0.1, 0.2, 0.4, 0.8):
        root["Simulate"][f"rate {rate}"] = co.Exec(growth.simulate, rate, days)
    fits = [node.result for node in root["Simulate"].children.values()]
    root["Best"] = co.Exec(growth.best, fits, goal)
    # Commands in any language read results, too.
    root["Show"] = co.Exec("conducto result /Best", results=["/Best"])
    return root


if __name__ == "__main__":
    co.main(default=compare)
