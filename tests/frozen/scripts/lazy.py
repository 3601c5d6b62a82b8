"""A part of the tree that is made while the pipeline runs."""

import conducto as co


def parts(count: int) -> co.Serial:
    root = co.Serial(cpu=2)
    for index in range(count):
        root[f"part{index}"] = co.Exec(f"echo {index}")
    return root


def pipeline() -> co.Serial:
    root = co.Serial(image=co.Image("python:3.11-slim", copy_dir=".", name="code"))
    root["lazy"] = co.Lazy(parts, 3)
    root["shell"] = co.lazy_shell("sh make_tree.sh", env={"A": "1"})
    return root


if __name__ == "__main__":
    co.main(default=pipeline)
