"""A deployment that runs only if something changed, to a region that a result names.

Print the tree:  python pipeline.py
Run it:          python pipeline.py --local --run
Another result:  python pipeline.py --status=same --local --run
"""

import conducto as co


def deploy(status: str = "changed", region: str = "eu") -> co.Serial:
    """Check, then deploy to one of two regions, or only report."""
    root = co.Serial(image=co.Image("python:3.11-slim", copy_dir="."))
    root["Check"] = check = co.Exec(compare, status, region)
    changed = check.result["status"] == "changed"
    root["Deploy"] = co.Parallel(run_if=changed)
    for name in ("eu", "us"):
        root[f"Deploy/{name}"] = co.Exec(
            f'echo "deployed to {name}"', run_if=check.result["region"].is_in([name, "all"])
        )
    root["Report"] = co.Exec('echo "nothing to deploy"', run_if=~changed)
    return root


def compare(status: str, region: str) -> dict:
    """Return the result of a check."""
    return {"status": status, "region": region}


if __name__ == "__main__":
    co.main(default=deploy)
