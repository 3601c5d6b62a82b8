"""A tree that the data decides: one node for each kind of software in a Debian image.

Which kinds there are is known only inside the image, so two parts of the tree are made while
the pipeline runs.
"""

import json
import re
from collections import defaultdict
from pathlib import Path

import conducto as co

STATUS = Path("/var/lib/dpkg/status")  # Debian's own list of what is installed
LARGEST = 3


def weigh() -> co.Serial:
    """Find out what makes a Debian image large."""
    image = co.Image("python:3.11-slim", copy_dir=".")
    root = co.Serial(image=image)
    # Lazy runs the function in a container and puts the tree that it returns in its place.
    root["Sections"] = co.Lazy(sections)
    root["Largest"] = co.Lazy(largest, count=LARGEST)
    root["Report"] = co.Exec(report)
    return root


def sections() -> co.Parallel:
    """Return a node for each section that has packages."""
    root = co.Parallel(cpu=0.5, mem=0.5)
    for section in sorted(read_packages()):
        root[node_name(section)] = co.Exec(measure, section)
    return root


def measure(section: str) -> None:
    """Note down what the packages of a section take."""
    packages = read_packages()[section]
    total = sum(packages.values())
    print(f"{section}: {len(packages)} packages, {total} KiB")
    found = {"section": section, "packages": len(packages), "kib": total}
    co.data.pipeline.puts(f"sections/{node_name(section)}.json", json.dumps(found).encode())


def largest(count: int) -> co.Serial:
    """Return a look at the largest sections, one after another; needs what ``measure`` noted."""
    root = co.Serial()
    for found in results()[:count]:
        root[node_name(found["section"])] = co.Exec(inspect, found["section"])
    return root


def inspect(section: str) -> None:
    """Print the three largest packages of a section."""
    packages = read_packages()[section]
    for name in sorted(packages, key=packages.get, reverse=True)[:3]:
        print(f"{packages[name]:>8} KiB  {name}")


def report() -> None:
    """Write the table of all sections."""
    lines = ["| section | packages | KiB |", "|---|---|---|"]
    lines += ["| {section} | {packages} | {kib} |".format(**found) for found in results()]
    text = "\n".join(lines) + "\n"
    co.data.pipeline.puts("report.md", text.encode())
    print(f"<ConductoMarkdown>\n{text}</ConductoMarkdown>")


def results() -> list:
    """Return what was noted of each section, the largest first."""
    names = co.data.pipeline.list("sections")
    found = [json.loads(co.data.pipeline.gets(name)) for name in names]
    return sorted(found, key=lambda one: -one["kib"])


def read_packages() -> dict:
    """Return ``{section: {package: installed size in KiB}}``."""
    found = defaultdict(dict)
    field = re.compile(r"^(Package|Section|Installed-Size): (.+)$", re.MULTILINE)
    for paragraph in STATUS.read_text(encoding="utf-8").split("\n\n"):
        fields = dict(field.findall(paragraph))
        if "Section" in fields:
            size = int(fields.get("Installed-Size", 0))
            found[fields["Section"]][fields["Package"]] = size
    return found


def node_name(section: str) -> str:
    """Return a section's name without the slash, which has a meaning in the names of nodes."""
    return section.replace("/", "-")


if __name__ == "__main__":
    co.main(default=weigh)
