"""Check that the texts of the project are plain technical English.

    python tests/tools/prose.py [PATH ...]           each finding, with its place and remedy
    python tests/tools/prose.py --count [PATH ...]   findings and openings per package

Texts are docstrings, comments, messages, names of tests, docs and the strings of the web app. The
rules are in ``prose_rules.py``. Words in backticks are code and may be anything. Names of
functions, and the attributes that docstrings promise, are checked, too (``identifiers.py``).
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[2]
if str(ROOT / "tests") not in sys.path:
    sys.path.insert(0, str(ROOT / "tests"))

from tools.identifiers import Class, classes, empty_names, missing_attributes  # noqa: E402
from tools.prose_rules import (  # noqa: E402
    MAX_OPENINGS,
    Finding,
    findings,
    foreign_installs,
    opens_with_interrogative,
)
from tools.prose_texts import DOCSTRING, texts_of  # noqa: E402

#: Text by others or by users.
LEFT_OUT = ("tests/frozen/scripts/", "CODE_OF_CONDUCT.md", "LICENSE")

#: They explain the collision of names.
COLLISION = ("docs/the-name.md", "tests/core/test_prose.py")

#: Findings, docstrings and docstrings that open with an interrogative, of a file.
Result = tuple[list[Finding], int, list[int]]


def files(paths: Sequence[str]) -> list[str]:
    """Return the project's files, all or those below some paths."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *paths]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [p for p in sorted({*listed.split("\n")}) if p and not p.startswith(LEFT_OUT)]


def check(path: str) -> Result:
    """Return the findings in a file, the number of its docstrings, and their openings."""
    try:
        source = (ROOT / path).read_text()
        texts = list(texts_of(path, source))
    except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
        return [], 0, []
    docstrings = [text for text in texts if text.kind == DOCSTRING]
    openings = [text.line for text in docstrings if opens_with_interrogative(text.text)]
    found = [found for text in texts for found in findings(text)]
    if path not in COLLISION:
        found += foreign_installs(path, source)
    return found, len(docstrings), openings


def package_of(path: str, depth: int = 2) -> str:
    """Return the directory of a file, at most so many levels deep."""
    return "/".join(PurePosixPath(path).parts[:-1][:depth]) or "."


def too_many_openings(results: dict[str, Result]) -> list[str]:
    """Return a message for each package in which too many docstrings open with an interrogative."""
    total: Counter[str] = Counter()
    places: defaultdict[str, list[str]] = defaultdict(list)
    for path, (_, docstrings, openings) in results.items():
        total[package_of(path)] += docstrings
        places[package_of(path)] += [f"{path}:{line}" for line in openings]
    return [
        f"{package}: {len(found)} of {total[package]} docstrings open with what, who, how or which;"
        f" at most {MAX_OPENINGS:.0%} may: {', '.join(found[:5])}" + (", ..." if found[5:] else "")
        for package, found in places.items()
        if len(found) > max(1, total[package] * MAX_OPENINGS)
    ]


def identifiers(paths: Sequence[str]) -> list[Finding]:
    """Return the findings about names in the Python files among some."""
    known: defaultdict[str, list[Class]] = defaultdict(list)
    found: list[Finding] = []
    for path in files(["*.py"]):
        if (ROOT / path).exists():
            tree = ast.parse((ROOT / path).read_text())
            found += empty_names(path, tree)
            for one in classes(path, tree):
                known[one.name].append(one)
    shown = set(paths)
    return [each for each in (*found, *missing_attributes(known)) if each.path in shown]


def table(results: dict[str, Result], depth: int) -> Iterable[str]:
    """Yield a line per package: findings, by kind of text, and openings of docstrings."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for path, (found, docstrings, openings) in results.items():
        of_package = counts[package_of(path, depth)]
        of_package.update(each.kind for each in found)
        of_package.update(
            {"findings": len(found), "docstrings": docstrings, "opening": len(openings)}
        )
    kinds = ["findings", "docstring", "comment", "message", "test name", "docs"]
    yield f"{'package':34}" + "".join(f"{kind:>10}" for kind in kinds) + f"{'openings':>10}"
    for package, count in [*sorted(counts.items()), ("all", sum(counts.values(), Counter()))]:
        share = count["opening"] / count["docstrings"] if count["docstrings"] else 0
        yield f"{package:34}" + "".join(f"{count[kind]:10}" for kind in kinds) + f"{share:10.1%}"


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; return 1 if there is a finding."""
    parser = argparse.ArgumentParser(description="Check the prose of the project.")
    parser.add_argument("paths", nargs="*", metavar="PATH", help="only files below these")
    parser.add_argument("--count", action="store_true", help="print a table per package")
    parser.add_argument("--depth", type=int, default=2, help="levels of directories in the table")
    options = parser.parse_args(words)
    names = files(options.paths)
    with ProcessPoolExecutor() as pool:
        results = dict(zip(names, pool.map(check, names, chunksize=20), strict=True))
    found = [str(each) for result in results.values() for each in result[0]]
    lines = [*found, *map(str, identifiers(names)), *too_many_openings(results)]
    for line in table(results, options.depth) if options.count else lines:
        print(line)
    if lines and not options.count:
        print(f"{len(lines)} findings; the rules are in tests/tools/prose_rules.py")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
