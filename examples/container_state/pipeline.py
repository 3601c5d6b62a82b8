"""Groups of nodes with a container to themselves: what one leaves there, the next one finds.

Two editions of a program are built side by side in ``/bench``, each in its own container.
"""

import conducto as co

NEW = co.ContainerReuseContext.NEW
EDITIONS = {"full": ("length", "temperature", "weight"), "small": ("length",)}


def build() -> co.Serial:
    """Build every edition of the unit converter and try it out."""
    root = co.Serial(image=co.Image("python:3.11-slim", copy_dir="."), cpu=0.5, mem=0.5)
    root["Editions"] = co.Parallel()
    for edition, parts in EDITIONS.items():
        root["Editions"][edition] = build_edition(edition, parts)
    # A fresh container as well, and nobody has been in it.
    root["Bench is clean"] = co.Exec("test ! -e /bench", container_reuse_context=NEW)
    return root


def build_edition(edition, parts) -> co.Serial:
    """Return the steps of one edition, which hand on their work in the file system."""
    steps = co.Serial(env={"EDITION": edition}, container_reuse_context=NEW)
    # A reset soon after the end may find the container, and with it the bench, still there.
    steps["Clear the bench"] = co.Exec(
        "rm -rf /bench && mkdir /bench && cp -v units/main.py /bench/__main__.py"
    )
    # In a container of their own even the children of a Parallel take turns.
    steps["Parts"] = co.Parallel()
    for part in parts:
        steps["Parts"][part] = co.Exec(f"cp -v units/{part}.py /bench/")
    steps["Pack"] = co.Exec('python -m zipapp /bench -o "/conducto/data/pipeline/$EDITION.pyz"')
    # GLOBAL leaves the group again: only what lies in the data directory is there.
    steps["Try out"] = co.Exec(
        'test ! -e /bench && python "/conducto/data/pipeline/$EDITION.pyz" 100',
        container_reuse_context=co.ContainerReuseContext.GLOBAL,
    )
    return steps


if __name__ == "__main__":
    co.main(default=build)
