"""A release that waits for a person, and loads that share a database with other pipelines.

Print the tree:  python pipeline.py
Run it:          python pipeline.py --local --run
Approve it:      conducto approve ID --set region=north
"""

import conducto as co


def release(version: str = "2.1") -> co.Serial:
    """Load the data of two regions, ask a person, and release."""
    root = co.Serial(image=co.Image("python:3.11-slim", copy_dir="."))
    # Over all pipelines of this machine, at most three commands use the database at once.
    root["Load"] = co.Parallel(limits=co.Limit("database", 3))
    for region in ("north", "south"):
        root[f"Load/{region}"] = co.Exec(f'echo "loaded {region}"')
    root["Approve"] = ask = co.Approve(
        f"Release {version} to customers?",
        fields={"percent": 10, "region": ["all", "north", "south"]},
        timeout="2d",
    )
    root["Release"] = co.Exec(announce, version, ask.result)
    return root


def announce(version: str, values: dict) -> None:
    """Print the values that the person gave."""
    print(f"released {version} to {values['percent']} % of customers, region: {values['region']}")


if __name__ == "__main__":
    co.main(default=release)
