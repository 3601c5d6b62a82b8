"""The ``conducto`` command: what it takes. What each verb does is imported when it is called."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conducto.cli.connection import OpenClient

    _Verbs = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - it has no other name

_DESCRIPTION = "Look at pipelines and act on them. A pipeline is launched by its own script."
_EPILOG = """\
launch:
  python pipeline.py                 print the tree, run nothing
  python pipeline.py --local --run   run it in containers on this machine, and watch
  conducto pipeline.py --local       the same through this command; without --run it stays pending

an ID may be shortened; a PATH may hold wildcards: '/tests/*', '/**/login' (quote them)

examples:
  conducto list
  conducto show abc                  come back to a pipeline
  conducto logs abc /tests/login     what a node printed
  conducto reset abc --failed        run again what failed
  conducto skip abc '/deploy/*'

exit codes: 0 done, 1 error or killed, 2 wrong usage or definition, 3 no container engine
"""


def main(
    argv: Sequence[str] | None = None, opener: Callable[[str | None], OpenClient] | None = None
) -> int:
    """Run one command of ``conducto``; return its exit code.

    Args:
        argv: The words after ``conducto``; None takes those of the process.
        opener: Gives, for a profile, what makes clients of its agent; None is this machine's.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    if words[:1] == ["compile"]:  # what comes behind its FILE belongs to the script
        from conducto.cli.compile import compile_command  # noqa: PLC0415

        return compile_command(words[1:])
    parser = build_parser()
    try:
        arguments = parser.parse_args(words)
    except SystemExit as stop:  # argparse has printed the usage, an error or the version
        return stop.code if isinstance(stop.code, int) else 2
    if arguments.verb is None:
        parser.print_help()
        return 2
    from conducto.cli import connection  # noqa: PLC0415 - not for --help

    find = connection.client_opener if opener is None else opener
    return connection.guarded(lambda: _run(arguments, find))


def _run(arguments: argparse.Namespace, opener: Callable[[str | None], OpenClient]) -> int:
    if arguments.verb in {"list", "show", "logs"}:
        from conducto.cli import queries  # noqa: PLC0415

        verbs = {"list": queries.list_, "show": queries.show, "logs": queries.logs}
        return verbs[arguments.verb](arguments, opener(arguments.profile))
    if arguments.verb in {"debug", "livedebug"}:
        from conducto.cli import debug  # noqa: PLC0415

        return debug.debug(arguments, opener(arguments.profile))
    if arguments.verb == "secrets":
        from conducto.cli import secrets  # noqa: PLC0415

        return secrets.secrets(arguments, opener(arguments.profile))
    from conducto.cli import control  # noqa: PLC0415

    if arguments.verb == "agent":
        return control.agent(arguments)
    return control.order(arguments, opener(arguments.profile))


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    parser = argparse.ArgumentParser(
        prog="conducto",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, help="print the version and exit")
    parser.add_argument(
        "--profile", metavar="P", help="the profile to use (default: $CONDUCTO_PROFILE)"
    )
    verbs = parser.add_subparsers(dest="verb", metavar="COMMAND", title="commands")
    _add_queries(verbs)
    _add_orders(verbs)
    _add_shells(verbs)
    _add_secrets(verbs)
    _add_agent(verbs)
    _add(verbs, "compile", "print the AWS state machines of a script's pipeline; runs nothing")
    return parser


class _Version(argparse.Action):
    """Reads the version only when asked for it."""

    def __init__(self, option_strings: Sequence[str], dest: str, **kwargs: str | None) -> None:
        super().__init__(option_strings, dest, nargs=0, help=kwargs.get("help"))

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

        try:
            print(f"conducto {version('conducto')}")
        except PackageNotFoundError:
            print("conducto, not installed: run from its source")
        parser.exit()


def _add(verbs: _Verbs, name: str, summary: str, more: str = "") -> argparse.ArgumentParser:
    return verbs.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}. {more}".strip(),
    )


def _add_queries(verbs: _Verbs) -> None:
    listing = _add(verbs, "list", "list pipelines, the newest first")
    listing.add_argument("--json", action="store_true", help="machine-readable")

    show = _add(
        verbs,
        "show",
        "show a pipeline",
        "On a terminal it stays until the pipeline settles, like --local --run, and ends with the "
        "same exit code; elsewhere it prints the tree once.",
    )
    show.add_argument("id", metavar="ID")
    show.add_argument("--json", action="store_true", help="the whole tree with all attempts")
    show.add_argument("--failed", action="store_true", help="only list the nodes that failed")
    show.add_argument("--once", action="store_true", help="print the tree once and return")
    show.add_argument("--plain", action="store_true", help="stay, but print lines, no live picture")

    logs = _add(verbs, "logs", "print what a node printed, byte for byte")
    logs.add_argument("id", metavar="ID")
    logs.add_argument("path", metavar="PATH", nargs="?")
    logs.add_argument(
        "--attempt", type=_positive, metavar="N", help="counted from 1 (default: the newest)"
    )
    logs.add_argument("--image", metavar="NAME", help="instead, what the build of an image printed")
    logs.add_argument(
        "-f", "--follow", action="store_true", help="stay until the attempt has ended"
    )
    stream = logs.add_mutually_exclusive_group()
    stream.add_argument("--stdout", action="store_const", const="stdout", dest="stream")
    stream.add_argument("--stderr", action="store_const", const="stderr", dest="stream")


def _add_orders(verbs: _Verbs) -> None:
    run = _add(verbs, "run", "start a pending or paused pipeline")
    pause = _add(verbs, "pause", "start nothing more; what runs may end")
    reset = _add(verbs, "reset", "run nodes again", "Other nodes keep their results.")
    skip = _add(verbs, "skip", "leave nodes out, as if they were done")
    unskip = _add(verbs, "unskip", "take skipped nodes in again")
    kill = _add(verbs, "kill", "kill what runs", "Without a PATH: everything.")
    rebuild = _add(
        verbs,
        "rebuild",
        "build the images of nodes anew, with the code as it is now, and run the nodes again",
    )
    modify = _add(
        verbs,
        "modify",
        "change parameters of nodes in this pipeline, not in its script",
        "What runs keeps what it began with; reset it to use the new values. An empty value takes "
        "a parameter back to what is inherited.",
    )
    rest = (
        _add(verbs, "sleep", "end what runs and let go of containers, keep all else"),
        _add(verbs, "wake", "take a pipeline out of sleep or the archive; it does not run yet"),
        _add(verbs, "archive", "end what runs and take the pipeline off the list"),
    )
    for parser in (run, pause, reset, skip, unskip, kill, rebuild, modify, *rest):
        parser.add_argument("id", metavar="ID")
        parser.set_defaults(paths=[], failed=False, watch=False, dry_run=False)
    nodes = ((reset, "*"), (skip, "+"), (unskip, "+"), (kill, "*"), (rebuild, "+"), (modify, "+"))
    for parser, least in nodes:
        parser.add_argument("paths", metavar="PATH", nargs=least)
        parser.add_argument(
            "--dry-run", action="store_true", help="only say what it would do to which Execs"
        )
    _add_changes(modify)
    reset.add_argument("--failed", action="store_true", help="every Exec that failed or was killed")
    for parser in (run, reset):
        parser.add_argument("--watch", action="store_true", help="stay until the pipeline settles")


def _add_shells(verbs: _Verbs) -> None:
    debug = _add(
        verbs,
        "debug",
        "open a shell in a fresh container like the one a node ran in",
        "Same image, environment, secrets, data, directory and limits; the node's command is "
        "/conducto/cmd.sh there. Ends with the shell's exit code.",
    )
    live = _add(
        verbs,
        "livedebug",
        "the same with your code mounted over its copy in the image",
        "What you change on this machine is there in the container at once, and the other way.",
    )
    for parser in (debug, live):
        parser.add_argument("id", metavar="ID")
        parser.add_argument("path", metavar="PATH")
        parser.add_argument(
            "--attempt", type=_positive, metavar="N", help="counted from 1 (default: the newest)"
        )
        parser.add_argument(
            "--snapshot",
            action="store_true",
            help="with the files as the failed command left them, if that was asked for "
            "(snapshot_on_error)",
        )
        instead = parser.add_mutually_exclusive_group()
        instead.add_argument(
            "--print", action="store_true", help="open nothing, print a docker run line that does"
        )
        instead.add_argument(
            "--no-shell",
            action="store_true",
            help="start a container that stays, for an editor to attach to; print its name",
        )


def _add_changes(modify: argparse.ArgumentParser) -> None:
    """Add an option for each parameter that can be modified (`conducto.model.api.Changes`)."""
    modify.add_argument("--command", metavar="TEXT", help="the script of an Exec")
    modify.add_argument("--env", metavar="NAME=VALUE", action="append", help="may be repeated")
    modify.add_argument("--unset-env", metavar="NAME", action="append", help="may be repeated")
    for name in ("cpu", "mem", "gpu", "image", "max-time", "max-concurrent", "doc"):
        modify.add_argument(f"--{name}", metavar="VALUE")
    for name in ("stop-on-error", "suppress-errors", "requires-docker"):
        modify.add_argument(f"--{name}", choices=("yes", "no", ""))


def _add_secrets(verbs: _Verbs) -> None:
    about = (
        "They become variables of every command; their values are masked in what commands print. "
        "Values are read from a prompt, from stdin or from a variable, never from the command line."
    )
    secrets = _add(verbs, "secrets", "list, set or delete secrets", about)
    whats = secrets.add_subparsers(dest="what", metavar="list|set|delete", required=True)
    listing = _add(whats, "list", "list secrets, without values")
    setting = _add(whats, "set", "store a secret over one of the same name", about)
    setting.add_argument("name", metavar="NAME", help="name of the variable")
    setting.add_argument("--from-env", metavar="VARIABLE", help="take the value of this variable")
    setting.add_argument("--no-mask", action="store_true", help="let commands print it")
    deleting = _add(whats, "delete", "delete secrets")
    deleting.add_argument("names", metavar="NAME", nargs="+")
    for parser in (setting, deleting):
        parser.add_argument(
            "--org", action="store_true", help="of the organisation (default: of the user)"
        )
    for parser in (listing, setting, deleting):
        parser.add_argument("--json", action="store_true", help="machine-readable")


def _add_agent(verbs: _Verbs) -> None:
    agent = _add(
        verbs,
        "agent",
        "start, stop or look at the process that runs pipelines on this machine",
        "It starts by itself with the first launch and outlives the terminal.",
    )
    agent.add_argument("what", choices=("start", "stop", "status"))
    agent.add_argument("--json", action="store_true", help="machine-readable (status)")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"attempts are counted from 1, got {text}")
    return number
