"""Groups of nodes with their own container: files of one node are there for the next one.

The pipeline builds two editions of a program at the same time in ``/bench``, each in its own
container.
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
    # On an Exec, NEW is a fresh container.
    root["Bench is clean"] = co.Exec("test ! -e /bench", container_reuse_context=NEW)
    return root


def build_edition(edition, parts) -> co.Serial:
    """Return the steps of one edition, which share files in their container."""
    steps = co.Serial(env={"EDITION": edition}, container_reuse_context=NEW)
    # After a reset, the container and its files may still exist.
    steps["Clear the bench"] = co.Exec(
        "rm -rf /bench && mkdir /bench && cp -v units/main.py /bench/__main__.py"
    )
    # Commands of one container run one at a time, even in a Parallel.
    steps["Parts"] = co.Parallel()
    for part in parts:
        steps["Parts"][part] = co.Exec(f"cp -v units/{part}.py /bench/")
    steps["Pack"] = co.Exec('python -m zipapp /bench -o "/conducto/data/pipeline/$EDITION.pyz"')
    # GLOBAL runs in another container, where only files of the data directory exist.
    steps["Try out"] = co.Exec(
        'test ! -e /bench && python "/conducto/data/pipeline/$EDITION.pyz" 100',
        container_reuse_context=co.ContainerReuseContext.GLOBAL,
    )
    return steps


if __name__ == "__main__":
    co.main(default=build)
