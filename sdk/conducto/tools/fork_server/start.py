"""The start of a template, and a test of whether a file can have one."""

from __future__ import annotations

import os
import sys

from conducto.tools.fork_server import NAMES, VARIABLE
from conducto.tools.fork_server.call import ForkedCall
from conducto.tools.fork_server.template import Template, high

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Callable, List

    Load = Callable[[str], ModuleType]


def serve(file: str, load: Load, run: Callable[[ModuleType, List[str]], int]) -> int:
    """Become the template of a file; in each fork, run one call and end with its exit code.

    Descriptor 1 gets the result of the import, 3 and 4 are the output streams of the calls.
    """
    directory = os.environ.pop(VARIABLE)
    forbidden = set(os.environ.pop(NAMES, "").split())
    reply, *streams = (high(os.dup(1)), high(3), high(4))
    template = Template(file, directory, reply=reply, streams=streams, forbidden=forbidden)
    module = _imported(template, load)
    call = ForkedCall(template)
    words = template.wait(call)
    try:
        code: object = run(module, words)
    except SystemExit as error:
        code = error.code
        call.end(code)
        raise
    call.end(code)
    return int(str(code))


def _imported(template: Template, load: Load) -> ModuleType:
    template.start()
    try:
        module = load(template.file)
    except BaseException as error:  # noqa: BLE001 (a new interpreter reports it)
        template.refuse(f"the import fails ({type(error).__name__})")
    template.check()
    return module


def explain(file: str, load: Load) -> int:
    """Print whether calls of a file can share one import, or the reason why not.

    Returns:
        0, or 1 if this system cannot tell.
    """
    if sys.platform != "linux":
        print(f"{file}: run this on Linux, for example in `conducto debug`", file=sys.stderr)
        return 1
    import tempfile  # noqa: PLC0415 - needed on this path only

    with tempfile.TemporaryDirectory() as directory:
        reply = _probe(file, load, directory)
    kind, _, text = reply.partition(" ")
    if kind == "refused":
        print(f"{file}: each call starts a new interpreter: {text}")
    elif kind == "ready":
        names = f", unless their nodes set one of: {text}" if text else ""
        print(f"{file}: calls in a container share one import{names}")
    else:
        print(f"{file}: each call starts a new interpreter: the import ends the process")
    return 0


def _probe(file: str, load: Load, directory: str) -> str:
    """Import the file in another process; return its reply."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if not child:
        os.close(reading)
        template = Template(file, directory, reply=high(writing), streams=[], forbidden=set())
        _imported(template, load)
        template.reply(f"ready {' '.join(sorted(template.watch.names))}")
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, errors="replace") as stream:
        text = stream.read()
    os.waitpid(child, 0)
    return text.strip()
