"""The verbs that act on pipelines, and those that open shells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conducto.cli.host.verbs import (
    PATHS_HELP,
    a_positive,
    a_time,
    add_id,
    add_json,
    add_verb,
)

if TYPE_CHECKING:
    import argparse

    from conducto.cli.host.verbs import Verbs


def add_orders(verbs: Verbs) -> None:
    """Add the orders to pipelines and nodes."""
    run = add_verb(verbs, "run", "start a pending or paused pipeline")
    pause = add_verb(verbs, "pause", "start nothing more; what runs may end")
    reset = add_verb(
        verbs,
        "reset",
        "run nodes again",
        "Other nodes keep their results; earlier attempts and their output are kept.",
    )
    skip = add_verb(verbs, "skip", "leave nodes out, as if they were done")
    unskip = add_verb(verbs, "unskip", "take skipped nodes in again")
    kill = add_verb(verbs, "kill", "kill what runs", "Without a PATH: everything.")
    rebuild = add_verb(
        verbs,
        "rebuild",
        "build the images of nodes anew, with the code as it is now, and run the nodes again",
    )
    modify = add_verb(
        verbs,
        "modify",
        "change parameters of nodes in this pipeline, not in its script",
        "What runs keeps what it began with; reset it to use the new values. An empty value takes "
        "a parameter back to what is inherited.",
    )
    rest = (
        add_verb(verbs, "sleep", "end what runs and let go of containers, keep all else"),
        add_verb(verbs, "wake", "take a pipeline out of sleep or the archive; it does not run yet"),
        add_verb(verbs, "archive", "end what runs and take the pipeline off the list"),
    )
    for parser in (run, pause, reset, skip, unskip, kill, rebuild, modify, *rest):
        add_id(parser)
        parser.set_defaults(paths=[], failed=False, watch=False, dry_run=False)
    for parser in (reset, skip, unskip, kill, rebuild, modify):
        parser.add_argument("paths", metavar="PATH", nargs="*", help=PATHS_HELP)
        parser.add_argument(
            "--dry-run", action="store_true", help="only say what it would do to which Execs"
        )
    _add_changes(modify)
    for parser in (reset, skip, rebuild, modify):
        parser.add_argument(
            "--failed",
            action="store_true",
            help="every Exec that failed, and what a group that timed out left",
        )
    for parser in (run, reset, rebuild):
        parser.add_argument("--watch", action="store_true", help="stay until the pipeline settles")
    add_json(run, pause, reset, skip, unskip, kill, rebuild, modify, *rest)


def add_shells(verbs: Verbs) -> None:
    """Add what opens debug shells."""
    debug = add_verb(
        verbs,
        "debug",
        "open a shell in a fresh container like the one a node ran in",
        "Same image, environment, secrets, data, directory and limits; the node's command is "
        "/conducto/cmd.sh there. Ends with the shell's exit code.",
    )
    live = add_verb(
        verbs,
        "livedebug",
        "open a debug shell with your code mounted over its copy in the image",
        "What you change on this machine is there in the container at once, and the other way.",
    )
    for parser in (debug, live):
        add_id(parser)
        parser.add_argument("path", metavar="PATH", help="an Exec")
        parser.add_argument(
            "--attempt", type=a_positive, metavar="N", help="counted from 1 (default: the newest)"
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
        parser.set_defaults(remote=False, time_limit=None)
        if parser is debug:
            instead.add_argument(
                "--remote",
                action="store_true",
                help="of a pipeline in the cloud: on a worker of its own, where the data is "
                "(needs AWS's session-manager-plugin)",
            )
            parser.add_argument(
                "--time-limit",
                type=a_time,
                metavar="TIME",
                help="with --remote: end it after so long, such as 30m or 2h (default: 1h)",
            )


def _add_changes(modify: argparse.ArgumentParser) -> None:
    """Add an option for each parameter that can be modified (`conducto.model.api.Changes`)."""
    modify.add_argument("--command", metavar="TEXT", help="the script of an Exec")
    modify.add_argument(
        "--env", metavar="NAME=VALUE", action="append", help="set a variable; may be repeated"
    )
    modify.add_argument(
        "--unset-env", metavar="NAME", action="append", help="remove a variable; may be repeated"
    )
    for name, metavar, text in (
        ("cpu", "CPUS", "processors, e.g. 0.5"),
        ("mem", "GB", "memory"),
        ("gpu", "N", "graphics processors"),
        ("image", "NAME", "an image of this pipeline"),
        ("docker-run-args", "ARGS", "further arguments of docker run, as in a shell"),
        ("max-time", "TIME", "longest time it may run: seconds, or e.g. 1h30m"),
        ("max-concurrent", "N", "most Execs below that run at the same time"),
        ("retry-lost", "N", "runs again at most so often where its container is lost"),
        ("doc", "TEXT", "its description, markdown"),
    ):
        modify.add_argument(f"--{name}", metavar=metavar, help=text)
    modify.add_argument(
        "--container-reuse-context",
        choices=("new", "global", ""),
        help="which containers the Execs below share",
    )
    for name, text in (
        ("stop-on-error", "whether a Serial stops at the first error"),
        ("suppress-errors", "whether a group is done although something below failed"),
        ("requires-docker", "whether commands may use the engine"),
    ):
        modify.add_argument(f"--{name}", choices=("yes", "no", ""), help=text)
