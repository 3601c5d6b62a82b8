"""The last node: compare the models and show the mistakes of the best, in pictures and markdown."""

# ruff: noqa: PLC0415
# Packages that only the image has are imported in functions, since the host imports this file, too.

import json

import models

import conducto as co

PLOT = "plots/accuracy.png"


def report() -> None:
    """Draw the comparison, show the mistakes of the best model, and store its name."""
    found = models.results()
    # A report is shown at the top of the pipeline's page.
    co.nb.report(f"{table(found)}\n\n{comparison(found)}", name="comparison")
    co.nb.matplotlib_inline()
    with co.nb.cell():
        # ### What the best model gets wrong
        # Read as the first number, meant as the second.
        show_mistakes(found[0])
    co.data.pipeline.puts("best.json", json.dumps(found[0]).encode())
    print(f"best: {found[0]['model']}, {found[0]['accuracy']:.4f}")


def table(found: list) -> str:
    """Return the results as a markdown table."""
    rows = [f"| {one['model']} | {label(one)} | {one['accuracy']:.4f} |" for one in found]
    return "\n".join(["| model | parameter | accuracy |", "|---|---|---|", *rows])


def label(result: dict) -> str:
    """Return the parameter of a model as a text."""
    name = models.TUNING[result["model"]][0]
    return f"{name} = {result['value']}" if result["value"] else "default"


def comparison(found: list) -> str:
    """Save a bar chart to the pipeline's data; return markdown that shows it."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 0.4 * len(found) + 1), layout="constrained")
    names = [f"{one['model']}, {label(one)}" for one in reversed(found)]
    bars = axes.barh(names, [one["accuracy"] for one in reversed(found)], color="steelblue")
    bars[-1].set_color("darkorange")
    axes.set_xlim(0.7, 1)
    axes.set_xlabel(f"accuracy, mean of {models.FOLDS} folds")
    figure.savefig("/tmp/accuracy.png", dpi=110)
    plt.close(figure)
    co.data.pipeline.put(PLOT, "/tmp/accuracy.png")
    return f"![accuracy]({co.data.pipeline.url(PLOT)})"


def show_mistakes(best: dict) -> None:
    """Show up to ten images that a model classifies wrongly."""
    from matplotlib import pyplot as plt
    from sklearn.model_selection import cross_val_predict

    images, digits = models.load()
    estimator = models.make(best["model"])
    if best["value"]:
        estimator.set_params(**{models.TUNING[best["model"]][0]: best["value"]})
    read = cross_val_predict(estimator, images, digits, cv=models.FOLDS)
    wrong = [number for number in range(len(digits)) if read[number] != digits[number]]
    print(f"{len(wrong)} of {len(digits)} are wrong.")
    _, places = plt.subplots(2, 5, figsize=(7, 3.2))
    for axes, number in zip(places.flat, wrong, strict=False):
        axes.imshow(images[number].reshape(8, 8), cmap="gray_r")
        axes.set_title(f"{read[number]}, not {digits[number]}", fontsize=9)
    for axes in places.flat:
        axes.set_axis_off()
    plt.show()
