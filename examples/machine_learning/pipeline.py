"""Machine learning: compare several models, tune the best one, draw the results.

python pipeline.py --local --run
"""

import models
import report

import conducto as co


def learn() -> co.Serial:
    """Find the best of four models for handwritten digits, and tune it."""
    image = co.Image(
        "python:3.11-slim",
        copy_dir=".",
        install_pip=["scikit-learn", "matplotlib"],
    )
    # Otherwise NumPy starts a thread for each core in every node.
    root = co.Serial(image=image, mem=1, env={"OMP_NUM_THREADS": "1"})
    root["Models"] = co.Parallel()
    for model in models.TUNING:
        root["Models"][model] = co.Exec(models.train, model)
    # The best model is known only after the comparison, so this part is generated then.
    root["Tune the best"] = co.Lazy(tune)
    root["Report"] = co.Exec(report.report)
    return root


def tune() -> co.Parallel:
    """Return a node for each value of the best model's parameter."""
    best = models.results()[0]["model"]
    parameter, values = models.TUNING[best]
    print(f"tuning {parameter} of {best}")
    root = co.Parallel()
    for value in values:
        root[f"{parameter}={value}"] = co.Exec(models.train, best, value)
    return root


if __name__ == "__main__":
    co.main(default=learn)
