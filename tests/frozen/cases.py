"""The scripts of the frozen corpus and their command lines, and how both clients run them."""

import base64
import gzip
import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).parent / "scripts"
FACTS = Path(__file__).parent / "facts.json"
#: Command lines that print a tree, and whose serialisation is compared.
TREES = (
    "assignment.py",
    "assignment.py pipeline",
    "blocks.py",
    "blocks.py lonely",
    "blocks.py single",
    "callbacks.py",
    "commands.py",
    "functions.py",
    "functions.py pipeline 1",
    "functions.py pipeline --top=3 --run",
    "functions.py --top 0",
    "images.py",
    "images.py shared_by_all",
    "lazy.py",
    "lazy.py parts 2",
    "options.py",
    "options.py --branch=dev --title T --doc D",
    "options.py pipeline dev --sleep-when-done --public",
    "parameters.py",
    "parameters.py old_names",
    "parameters.py --run",
)
#: The other ones.
OTHERS = (
    "functions.py train 3",
    "functions.py train --rate=1.5 3 --fast --name=é",
    "functions.py train --no-fast --depth 4",
    "functions.py train",
    "functions.py train x",
    "functions.py train 1 2 3 True 5",
    "functions.py train 1 --nme=x",
    "functions.py many a,b\\,c 1,2",
    "functions.py nothing",
    "functions.py later 4",
    "functions.py _hidden",
    "functions.py missing",
    "functions.py 5",
    "functions.py pipeline --fast",
    "listed.py shown 1",
    "listed.py shown 1 --b=c",
    "listed.py other",
    "listed.py",
    "mistakes.py",
    "mistakes.py twice",
    "mistakes.py no_parent",
    "mistakes.py outside",
    "mistakes.py unknown",
    "mistakes.py number_in_env",
    "mistakes.py two_images",
    "mistakes.py not_a_node",
    "mistakes.py raises",
    "mistakes.py number x",
    "options.py --run=1",
    "options.py --help",
    "without_main.py",
    "without_main.py pipeline",
)
#: The original's are two words; Conducto's are the image and a hash.
_RANDOM = re.compile(r"^[a-z]+-[a-z]+$|-[0-9a-f]{8}$")
_TAGGED = re.compile(r"\n<__conducto_serialization>(.*)</__conducto_serialization>\n", re.DOTALL)


@dataclass(frozen=True)
class Facts:
    """The result of a command line.

    Attributes:
        code: Exit code.
        stdout: Its output, besides a serialisation.
        tree: The serialised tree that it printed inside a node.
    """

    code: int
    stdout: str
    tree: dict[str, Any] | None = None


def facts_of(line: str, python: str, scripts: Path, env: Mapping[str, str]) -> Facts:
    """Return the result of a command line.

    Args:
        line: One of `TREES` or `OTHERS`.
        python: A Python in which a client is installed.
        scripts: A copy of the scripts outside of a Git checkout, which images would refer to.
        env: Further environment variables.
    """
    printed = _run(line, python, scripts, env)
    tree = None
    if line in TREES:
        inside = _run(line, python, scripts, {**env, "__RUN_BY_WORKER__": "1"})
        match = _TAGGED.search(inside.stdout)
        assert match, f"{line}: printed no serialisation: {inside.stderr}"
        tree = comparable(json.loads(gzip.decompress(base64.b64decode(match[1]))), scripts)
    return Facts(printed.returncode, printed.stdout, tree)


def _run(
    line: str, python: str, scripts: Path, env: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [python, *line.split(" ")],
        cwd=scripts,
        env={"PATH": "/usr/bin:/bin", "NO_COLOR": "1", "PYTHONUTF8": "1", **env},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def comparable(document: dict[str, Any], scripts: Path) -> dict[str, Any]:
    """Return a serialised tree without values that differ between machines and runs."""
    text = json.dumps(document, ensure_ascii=False)
    text = text.replace(str(scripts), "SCRIPTS")
    parts, stand_in = json.dumps(list(scripts.parts[1:]))[1:-1], '"SCRIPTS"'
    text = text.replace(parts, stand_in)
    text = text.replace(json.dumps(parts)[1:-1], json.dumps(stand_in)[1:-1])  # in a text
    for number, name in enumerate(_random_names(document)):
        text = text.replace(json.dumps(name), json.dumps(f"random-{number}"))
    known: dict[str, Any] = json.loads(text)
    for node in known["nodes"]:
        if node["type"] == "Parallel":
            del node["line"]  # from Python 3.11 on, the original's is a line of another frame
        if node.get("skip") is False:
            del node["skip"]  # the default
    return known


def _random_names(document: dict[str, Any]) -> list[str]:
    """Return the names that images without one were given, in the order of their use."""
    used = [node.get("image_name") for node in document["nodes"]]
    return list(dict.fromkeys(name for name in used if name and _RANDOM.search(name)))


def read_facts() -> dict[str, Facts]:
    """Return the facts that were recorded, by command line."""
    return {line: Facts(**facts) for line, facts in json.loads(FACTS.read_text()).items()}


def write_facts(facts: Mapping[str, Facts]) -> None:
    """Record facts."""
    FACTS.write_text(
        json.dumps({k: asdict(v) for k, v in facts.items()}, indent=1, ensure_ascii=False) + "\n"
    )
