"""``conducto-notebook PATH -p KEY VALUE ...``: runs a Jupyter notebook with papermill.

The output of its cells becomes the output of the command. The executed notebook is kept in the
pipeline's data and linked from the output; ``--output FILE`` keeps it elsewhere.
"""

# pathlib is slow to import, and this runs at every call in a container.
# ruff: noqa: PTH100, PTH113, PTH118, PTH119, PTH120

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile

from conducto.errors import UsageError
from conducto.tools.arguments import FAILED, print_usage, run_tool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import List, Optional

_USAGE = "usage: conducto-notebook PATH [-p KEY VALUE]... [--output FILE]"
_INSTALL = (
    "papermill is not installed in this image. Give the node an image with "
    "install_pip=['papermill', 'ipykernel'] and the packages that the notebook imports."
)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command; return papermill's exit code, 1 if it cannot start, 2 for wrong usage."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] in (["-h"], ["--help"]):
        return print_usage(_USAGE)
    return run_tool("conducto-notebook", _USAGE, lambda: _run(words))


def _run(words: Sequence[str]) -> int:
    path, output, parameters = _parse(words)
    if not os.path.isfile(path):
        raise FileNotFoundError(2, "No such notebook", path)
    if importlib.util.find_spec("papermill") is None:
        print(f"conducto-notebook: {_INSTALL}", file=sys.stderr)
        return FAILED
    if output is not None:
        return _papermill(path, output, parameters)
    with tempfile.TemporaryDirectory() as directory:
        executed = os.path.join(directory, "executed.ipynb")
        code = _papermill(path, executed, parameters)
        if os.path.isfile(executed) and os.environ.get("CONDUCTO_PIPELINE_ID"):
            import uuid  # noqa: PLC0415 - needed on this path only

            from conducto import data, nb  # noqa: PLC0415

            name = f".notebooks/{uuid.uuid4()}/{os.path.basename(path)}"
            data.pipeline.put(name, executed)
            nb.show_markdown(f"[{os.path.basename(path)}]({data.pipeline.url(name)})")
        return code


def _parse(words: Sequence[str]) -> tuple[str, Optional[str], List[str]]:
    """Return the notebook's path, that of the executed one, and papermill's parameters."""
    paths: List[str] = []
    output: Optional[str] = None
    parameters: List[str] = []
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        if word in {"-p", "--parameters"}:
            parameters += ["-p", *_read_argument(word, waiting, 2)]
        elif word == "--output":
            output = _read_argument(word, waiting, 1)[0]
        else:
            paths.append(word)
    if len(paths) != 1:
        raise UsageError(f"give the path of one notebook, got {len(paths)}")
    return paths[0], output, parameters


def _read_argument(option: str, waiting: List[str], count: int) -> List[str]:
    taken = [waiting.pop(0) for _ in range(min(count, len(waiting)))]
    if len(taken) < count:
        raise UsageError(f"{option} needs {count} value{'s' if count > 1 else ''}")
    return taken


def _papermill(path: str, executed: str, parameters: Sequence[str]) -> int:
    """Run papermill in the notebook's directory, so that its relative paths work."""
    command = [sys.executable, "-m", "papermill", os.path.abspath(path), os.path.abspath(executed)]
    command += ["--log-output", "--no-progress-bar", *parameters]
    directory = os.path.dirname(os.path.abspath(path))
    return subprocess.run([*command, "--cwd", directory], check=False).returncode  # noqa: S603


if __name__ == "__main__":
    sys.exit(main())
