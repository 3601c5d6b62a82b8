"""The world's airports: a pipeline that uses all kinds of nodes on real data.

python pipeline.py                  prints the tree
python pipeline.py --local --run    runs it in containers
"""

import airports
import world

import conducto as co


def demo() -> co.Serial:
    """Map the airports of the world, and find the most isolated one of each region."""
    image = co.Image(
        "python:3.11-slim",
        copy_dir=".",
        install_pip=["airportsdata", "matplotlib"],
    )
    # Otherwise NumPy starts a thread for each core in every node.
    root = co.Serial(image=image, cpu=0.5, mem=0.5, env={"OMP_NUM_THREADS": "1"})
    root["Collect"] = co.Exec(airports.collect)
    root["Look"] = co.Parallel()
    root["Look/Extremes"] = co.Exec(airports.extremes, count=3)
    root["Look/Longest route"] = co.Exec(airports.longest_route, start="LIS")
    # The regions come from the data, so this part of the tree is generated when they are known.
    root["Look/Loneliest"] = co.Lazy(regions)
    root["Draw the map"] = co.Exec(world.draw)
    root["Files"] = co.Exec("cd /conducto/data/pipeline && find . -type f | sort")
    return root


def regions() -> co.Parallel:
    """Return a node for each region."""
    root = co.Parallel()
    for region in airports.region_names():
        root[region] = co.Exec(airports.loneliest, region)
    return root


if __name__ == "__main__":
    co.main(default=demo)
