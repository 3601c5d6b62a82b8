"""A cached map: a detector for each digit, of which only new ones are trained.

python pipeline.py --local --run
python pipeline.py --local --run --digits "0 1 2 7"
"""

# ruff: noqa: PLC0415
# Packages that only the image has are imported in functions, since the host imports this file, too.

from typing import NamedTuple

import conducto as co

DATA = co.Cache(reads=["digits.csv"])


class Score(NamedTuple):
    """How well a detector finds a digit in images that it has not seen."""

    digit: int
    precision: float
    recall: float


def detect(digits: str = "0 1 2") -> co.Serial:
    """Train a detector for each of these digits, and report the hardest one."""
    image = co.Image("python:3.11-slim", copy_dir=".", install_pip=["scikit-learn"])
    # Otherwise NumPy starts a thread for each core in every node.
    root = co.Serial(image=image, mem=1, env={"OMP_NUM_THREADS": "1"}, cache=True)
    root["Load"] = co.Exec(load, params=co.Params(cache=co.Cache(writes=["digits.csv"])))
    root["Detectors"] = detectors = co.map(
        train,
        over=[int(digit) for digit in digits.split()],
        name="digit {item}",
        params=co.Params(cache=DATA),
    )
    root["Report"] = co.Exec(report, detectors.results)
    return root


def load() -> None:
    """Write the images of handwritten digits that are part of scikit-learn."""
    from sklearn.datasets import load_digits

    data = load_digits()
    rows = zip(data.target, data.data.astype(int), strict=True)
    lines = (",".join(map(str, [label, *pixels])) for label, pixels in rows)
    co.data.pipeline.puts("digits.csv", "\n".join(lines).encode())


def train(digit: int) -> Score:
    """Train a detector for one digit with half of the images, and test it with the others."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import precision_score, recall_score

    lines = co.data.pipeline.gets("digits.csv").decode().splitlines()
    rows = [[int(value) for value in line.split(",")] for line in lines]
    is_digit = [row[0] == digit for row in rows]
    pixels = [row[1:] for row in rows]
    half = len(rows) // 2
    model = LogisticRegression(max_iter=2000).fit(pixels[:half], is_digit[:half])
    found = model.predict(pixels[half:])
    print(f"{sum(found)} of {len(rows) - half} images look like a {digit}")
    return Score(
        digit,
        round(float(precision_score(is_digit[half:], found)), 3),
        round(float(recall_score(is_digit[half:], found)), 3),
    )


def report(scores: list[Score]) -> int:
    """Print the scores, and return the digit that is found least often."""
    for score in sorted(scores, key=lambda each: each.recall):
        print(f"{score.digit}  precision {score.precision:.3f}  recall {score.recall:.3f}")
    return min(scores, key=lambda each: each.recall).digit


if __name__ == "__main__":
    co.main(default=detect)
