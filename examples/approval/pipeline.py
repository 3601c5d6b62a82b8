"""A release that waits for a person, and loads that share a database with other pipelines.

Print the tree:  python pipeline.py
Run it:          python pipeline.py --local --run
Approve it:      conducto approve ID
"""

import conducto as co


def release(version: str = "2.1") -> co.Serial:
    """Load the data of two regions, ask a person, and release."""
    root = co.Serial(env={"VERSION": version})
    # Over all pipelines of this machine, at most three commands use the database at once.
    root["Load"] = co.Parallel(limits=co.Limit("database", 3))
    for region in ("north", "south"):
        root[f"Load/{region}"] = co.Exec(f'echo "loaded {region}"')
    root["Approve"] = co.Approve(f"Release {version} to all customers?", timeout="2d")
    root["Release"] = co.Exec('echo "released $VERSION"')
    return root


if __name__ == "__main__":
    co.main(default=release)
