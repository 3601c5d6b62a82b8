"""A tree that depends on data: one node for each section of packages in a Debian image.

Only the image has the list of sections, so two parts of the tree are generated while the pipeline
runs.
"""

import json
import re
from collections import defaultdict
from pathlib import Path

import conducto as co

STATUS = Path("/var/lib/dpkg/status")  # Debian's list of installed packages
LARGEST = 3


def weigh() -> co.Serial:
    """Find the largest packages of a Debian image."""
    image = co.Image("python:3.11-slim", copy_dir=".")
    root = co.Serial(image=image)
    # Lazy calls the function in a container; the returned tree becomes its Execute.
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
    """Store the installed size of a section."""
    packages = read_packages()[section]
    total = sum(packages.values())
    print(f"{section}: {len(packages)} packages, {total} KiB")
    found = {"section": section, "packages": len(packages), "kib": total}
    co.data.pipeline.puts(f"sections/{node_name(section)}.json", json.dumps(found).encode())


def largest(count: int) -> co.Serial:
    """Return a node for each of the largest sections, from the results of ``measure``."""
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
    """Store and print a table of all sections."""
    lines = ["| section | packages | KiB |", "|---|---|---|"]
    lines += ["| {section} | {packages} | {kib} |".format(**found) for found in results()]
    text = "\n".join(lines) + "\n"
    co.data.pipeline.puts("report.md", text.encode())
    print(f"<ConductoMarkdown>\n{text}</ConductoMarkdown>")


def results() -> list:
    """Return the results of ``measure``, largest first."""
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
    """Return a section's name without slashes, which node names cannot contain."""
    return section.replace("/", "-")


if __name__ == "__main__":
    co.main(default=weigh)
