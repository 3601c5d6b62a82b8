"""The last node of the demo: a map."""

# ruff: noqa: PLC0415
# Packages that only the image has are imported in functions, since the host imports this file, too.

import json

import airports

import conducto as co

PLOT = "plots/airports.png"


def draw() -> None:
    """Draw every airport, ring the most isolated one of each region, and write the report."""
    save_map("/tmp/airports.png")
    co.data.pipeline.put(PLOT, "/tmp/airports.png")
    picture = f"![map of the airports]({co.data.pipeline.url(PLOT)})"
    text = "Rings: the airport of each region that is farthest from all others."
    # A report is shown at the top of the pipeline's page.
    co.nb.report(f"{picture}\n\n{text}\n\n{table(found())}", name="Airports of the world")


def save_map(file: str) -> None:
    """Save the map as a picture."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(11, 5), layout="constrained")
    for region in airports.region_names():
        places = airports.read(region)
        axes.scatter([p["lon"] for p in places], [p["lat"] for p in places], s=2, label=region)
    lonely = found()
    rings = {"facecolors": "none", "edgecolors": "black", "s": 70}
    axes.scatter([one["lon"] for one in lonely], [one["lat"] for one in lonely], **rings)
    for one in lonely:
        axes.annotate(one["code"], (one["lon"], one["lat"]), (5, 5), textcoords="offset points")
    axes.set(xlim=(-180, 180), ylim=(-92, 88), xticks=[], yticks=[])
    figure.legend(loc="outside lower center", ncols=6, markerscale=4, frameon=False)
    figure.savefig(file, dpi=110)


def found() -> list:
    """Return the most isolated airport of each region, most isolated first."""
    names = co.data.pipeline.list("loneliest")
    return sorted(
        (json.loads(co.data.pipeline.gets(name)) for name in names),
        key=lambda one: -one["distance"],
    )


def table(lonely: list) -> str:
    """Return these airports as a markdown table."""
    row = "| {region} | {airports} | {name} ({code}) | {distance} |"
    head = ["| region | airports | loneliest | km to the next |", "|---|--:|---|--:|"]
    return "\n".join([*head, *(row.format(**one) for one in lonely)])
