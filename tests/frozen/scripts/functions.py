"""Functions as commands, and methods of the command line."""

import typing

import conducto as co


def train(depth: int, name: str = "x", rate: float = 0.5, fast: bool = False) -> str:
    return f"{depth} {name} {rate} {fast}"


def many(words: typing.List[str], numbers: typing.List[int]):
    return {"words": words, "sum": sum(numbers)}


def nothing():
    return None


async def later(n: int):
    return n + 1


def _hidden():
    return 1


def pipeline(top: int = 2) -> co.Parallel:
    """Train for several depths."""
    root = co.Parallel(image=co.Image("python:3.11-slim", copy_dir=".", name="mine"))
    for depth in range(top):
        root[str(depth)] = co.Exec(train, depth, name="it's", fast=True)
    root["list"] = co.Exec(many, ["a", "b,c"], [1, 2])
    root["params"] = co.Exec(train, 7, params=co.Params(cpu=2, mem=8, env={"K": "v"}))
    return root


if __name__ == "__main__":
    co.main(default=pipeline)
