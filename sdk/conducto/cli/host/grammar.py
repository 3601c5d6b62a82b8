"""What the ``conducto`` command takes: its verbs, options and the texts of ``--help``."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from conducto.cli.host.admin_words import add_arguments as add_admin_words
from conducto.cli.host.cloud_words import LOGIN_HINT, OF_A_PIPELINE, add_login, add_side
from conducto.cli.host.deploy_words import add_deploy, add_destroy, add_doctor, add_usage
from conducto.cli.host.exit_codes import BRIEF
from conducto.cli.host.parsing import Parser, keep_quiet
from conducto.cli.host.script_words import add_compile, add_method, add_plan
from conducto.cli.serialised import COMMANDS
from conducto.model.fields import parse_duration
from conducto.model.states import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    _Verbs = argparse._SubParsersAction[Parser]  # noqa: SLF001 - it has no other name

_DESCRIPTION = "Look at pipelines and act on them. A pipeline is launched by its own script."
_EPILOG = f"""\
launch:
  python pipeline.py                 print the tree, run nothing
  python pipeline.py --local --run   run it in containers on this machine, and watch
  conducto pipeline.py --local       the same through this command; without --run it stays pending
  python pipeline.py --cloud --run   run it in the cloud (first: conducto login --url URL)

an ID may be shortened; a PATH may hold wildcards: '/tests/*', '/**/login' (quote them)

examples:
  conducto list
  conducto show abc                  come back to a pipeline
  conducto logs abc /tests/login     what a node printed
  conducto diff abc /tests/login     what changed between its last two attempts
  conducto reset abc --failed        run again what failed
  conducto skip abc '/deploy/*'

exit codes: {BRIEF}
"""
#: What is said to who gives a secret's value as a word.
NAME_ALONE = (
    "Give the name alone: a value on the command line is seen in the list of processes and stays "
    "in the shell's history. Type it when asked, pipe it in, or use --from-env VARIABLE"
)
_ID_HELP = "the pipeline; the beginning of its id is enough"
_PATHS_HELP = "nodes, each with all below it; wildcards *, ? and ** are allowed"
_STATES = tuple(state.value for state in State)
#: Verbs about pipelines, which are on this machine or in the cloud.
OF_PIPELINES = (
    "list", "show", "tree", "logs", "diff", "export", "images", "data", "run", "pause", "reset",
    "skip", "unskip", "kill", "rebuild", "modify", "sleep", "wake", "archive", "debug",
    "livedebug", "secrets", "dump-serialization",
)  # fmt: skip


#: What ``--local`` and ``--cloud`` say of verbs that are about something else than one pipeline.
_SIDES = {
    "list": "only the pipelines {} (default: both, if one is logged in to a cloud)",
    "secrets": "the secrets {} (default: those of this machine)",
    "usage": "what was used {} (default: in the cloud, if one is logged in)",
}


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    parser = Parser(
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
    _add_lists(verbs)
    _add_looks(verbs)
    _add_data(verbs)
    _add_orders(verbs)
    _add_shells(verbs)
    _add_secrets(verbs)
    _add_agent(verbs)
    _add_gc(verbs)
    _add_discover(verbs)
    _add_installation(verbs)
    _add_serialised(verbs)
    _add_of_scripts(verbs)
    add_login(
        _add(verbs, "login", "log in to a cloud installation: check a token and keep it"),
        _add(verbs, "logout", "forget the token of the cloud installation"),
        _add(verbs, "whoami", "print whose the token is, as the cloud installation says"),
    )
    keep_quiet(verbs.choices["login"], LOGIN_HINT)
    for name in (*OF_PIPELINES, "usage"):
        add_side(verbs.choices[name], told=_SIDES.get(name, OF_A_PIPELINE))
    parser.set_defaults(side=None)
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


def _add(verbs: _Verbs, name: str, summary: str, more: str = "") -> Parser:
    return verbs.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}. {more}".strip(),
    )


def _add_id(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help=_ID_HELP)


def _add_json(*parsers: argparse.ArgumentParser) -> None:
    for parser in parsers:
        parser.add_argument("--json", action="store_true", help="machine-readable")


def _add_lists(verbs: _Verbs) -> None:
    listing = _add(verbs, "list", "list pipelines, the newest first")
    listing.add_argument("--state", choices=_STATES, help="only those in this state")
    listing.add_argument("--tag", metavar="TAG", help="only those that have this tag")
    listing.add_argument("--owner", metavar="NAME", help="only those of this person")
    listing.add_argument(
        "--text", metavar="TEXT", help="only those whose id, title, tags or script hold this"
    )
    listing.add_argument("--all", action="store_true", help="archived ones as well")
    listing.add_argument(
        "-n", "--limit", metavar="N", type=_positive, help="no more than the newest N"
    )

    images = _add(verbs, "images", "list the images of a pipeline and how their builds stand")
    _add_id(images)
    images.add_argument("--log", metavar="NAME", help="instead, what the build of one printed")
    images.add_argument(
        "-f", "--follow", action="store_true", help="with --log: stay until the build has ended"
    )
    _add_json(listing, images)


def _add_looks(verbs: _Verbs) -> None:
    _add_show(verbs)

    tree = _add(verbs, "tree", "print the nodes of a pipeline and how they stand")
    _add_id(tree)
    tree.add_argument("paths", metavar="PATH", nargs="*", help=_PATHS_HELP)
    tree.add_argument("--depth", metavar="N", type=_count, help="only N levels below each PATH")
    tree.add_argument(
        "--state", choices=(*_STATES, "failed", "skipped"), help="only Execs in this state"
    )

    diff = _add(
        verbs,
        "diff",
        "show what changed between two attempts of a node",
        "The command, environment, image and limits, how it ended, and what it printed. "
        "Without numbers: the last two attempts; with one: that and the newest.",
    )
    _add_id(diff)
    diff.add_argument("path", metavar="PATH", help="an Exec")
    diff.add_argument("first", metavar="A", nargs="?", type=_positive, help="an attempt's number")
    diff.add_argument("second", metavar="B", nargs="?", type=_positive, help="another's")
    _add_json(tree, diff)
    _add_logs(verbs)
    _add_export(verbs)


def _add_show(verbs: _Verbs) -> None:
    show = _add(
        verbs,
        "show",
        "show a pipeline, or all about one node",
        "On a terminal it is live, and keys act on the pipeline ('?' lists them). It stays until "
        "the pipeline settles, like --local --run, and ends with the same exit code; one that has "
        "settled stays until you leave with 'q'. Elsewhere it prints the tree once.",
    )
    show.add_argument(
        "id", metavar="ID", nargs="?", help=f"{_ID_HELP}; --app without it opens the list"
    )
    show.add_argument(
        "path",
        metavar="PATH",
        nargs="?",
        help="a node: where its parameters come from, its attempts",
    )
    show.add_argument("--failed", action="store_true", help="only list the nodes that failed")
    show.add_argument("--once", action="store_true", help="print the tree once and return")
    show.add_argument("--plain", action="store_true", help="stay, but print lines, no live picture")
    show.add_argument(
        "--app",
        action="store_true",
        help="open its page in a browser instead; the address is good once, for a minute",
    )
    show.add_argument("--json", action="store_true", help="everything, with all attempts")


def _add_logs(verbs: _Verbs) -> None:
    logs = _add(
        verbs,
        "logs",
        "print what a node printed, byte for byte",
        "stdout goes to stdout and stderr to stderr, unless one of them is asked for.",
    )
    _add_id(logs)
    logs.add_argument("path", metavar="PATH", nargs="?", help="an Exec")
    logs.add_argument(
        "--attempt", type=_positive, metavar="N", help="counted from 1 (default: the newest)"
    )
    logs.add_argument("--image", metavar="NAME", help="instead, what the build of an image printed")
    logs.add_argument(
        "-f", "--follow", action="store_true", help="stay until the attempt has ended"
    )
    stream = logs.add_mutually_exclusive_group()
    stream.add_argument(
        "--stdout", action="store_const", const="stdout", dest="stream", help="only this stream"
    )
    stream.add_argument(
        "--stderr", action="store_const", const="stderr", dest="stream", help="only this stream"
    )
    part = logs.add_mutually_exclusive_group()
    part.add_argument("--tail", metavar="N", type=_positive, help="only the last N lines")
    part.add_argument(
        "--lines",
        metavar="FROM[:TO]",
        type=_line_range,
        help="only these lines, counted from 1, TO included",
    )
    part.add_argument(
        "--search", metavar="TEXT", help="only lines that hold TEXT, each with its number"
    )
    part.add_argument(
        "--download",
        metavar="FILE",
        help="write it to a file instead; stderr goes to FILE.stderr",
    )
    logs.add_argument("--regex", action="store_true", help="--search with a regular expression")
    logs.add_argument("-i", "--ignore-case", action="store_true", help="--search in any case")
    logs.add_argument("--json", action="store_true", help="--search, machine-readable")


def _add_export(verbs: _Verbs) -> None:
    export = _add(
        verbs,
        "export",
        "write a pipeline, as it is now, into one HTML file",
        "To keep, to send, or to attach to a pull request: any browser shows it, offline, on a "
        "phone and on paper. It has the failures with their last output, the tree with commands "
        "and attempts, a timeline and the images; no scripts, no variables of the environment, "
        "and values of secrets masked. Of a large tree it has what failed or runs, and the upper "
        "levels.",
    )
    _add_id(export)
    export.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="where to (default: its title and .html, in this directory); '-' is stdout",
    )
    export.add_argument("--force", action="store_true", help="write over a file that is there")


def _add_data(verbs: _Verbs) -> None:
    about = "Names are paths below the directory, such as results/table.csv."
    data = _add(verbs, "data", "list, read, write or delete files that commands share", about)
    whats = data.add_subparsers(dest="what", metavar="list|get|put|rm", required=True)
    listing = _add(whats, "list", "list the entries of a directory")
    getting = _add(whats, "get", "read a file")
    putting = _add(whats, "put", "write a file, over one of the same name")
    removing = _add(whats, "rm", "delete files")
    for parser, words, text in (
        (listing, "ID [DIR]", "the pipeline, and a directory of its data"),
        (getting, "ID NAME [FILE]", "FILE is where to; '-' is stdout"),
        (putting, "ID FILE [NAME]", "FILE is what to write; '-' is stdin"),
        (removing, "ID NAME ...", "the pipeline, and what to delete of its data"),
    ):
        # One argument for all words: with --user there is no ID in front of the others.
        parser.usage = f"conducto data {parser.prog.split()[-1]} [--user | ID] {words[3:]}".strip()
        parser.add_argument("words", metavar=words, nargs="*", help=text)
        parser.add_argument(
            "--user", action="store_true", help="instead of ID: the data of all your pipelines"
        )
    _add_json(listing, putting, removing)


def _add_orders(verbs: _Verbs) -> None:
    run = _add(verbs, "run", "start a pending or paused pipeline")
    pause = _add(verbs, "pause", "start nothing more; what runs may end")
    reset = _add(
        verbs,
        "reset",
        "run nodes again",
        "Other nodes keep their results; earlier attempts and their output are kept.",
    )
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
        _add_id(parser)
        parser.set_defaults(paths=[], failed=False, watch=False, dry_run=False)
    for parser in (reset, skip, unskip, kill, rebuild, modify):
        parser.add_argument("paths", metavar="PATH", nargs="*", help=_PATHS_HELP)
        parser.add_argument(
            "--dry-run", action="store_true", help="only say what it would do to which Execs"
        )
    _add_changes(modify)
    for parser in (reset, skip, rebuild, modify):
        parser.add_argument(
            "--failed", action="store_true", help="every Exec that failed or was killed"
        )
    for parser in (run, reset, rebuild):
        parser.add_argument("--watch", action="store_true", help="stay until the pipeline settles")
    _add_json(run, pause, reset, skip, unskip, kill, rebuild, modify, *rest)


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
        "open a debug shell with your code mounted over its copy in the image",
        "What you change on this machine is there in the container at once, and the other way.",
    )
    for parser in (debug, live):
        _add_id(parser)
        parser.add_argument("path", metavar="PATH", help="an Exec")
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
                type=_time,
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
    # Taken in order to be refused in our words; argparse would print it.
    setting.add_argument("given", nargs="*", help=argparse.SUPPRESS)
    setting.add_argument("--from-env", metavar="VARIABLE", help="take the value of this variable")
    setting.add_argument("--no-mask", action="store_true", help="let commands print it")
    deleting = _add(whats, "delete", "delete secrets")
    deleting.add_argument("names", metavar="NAME", nargs="+")
    for parser in (setting, deleting):
        parser.add_argument(
            "--org", action="store_true", help="of the organisation (default: of the user)"
        )
    _add_json(listing, setting, deleting)
    keep_quiet(secrets, NAME_ALONE)


def _add_gc(verbs: _Verbs) -> None:
    gc = _add(
        verbs,
        "gc",
        "free what no live pipeline needs: containers, networks, images, snapshots, files",
        "Live is a pipeline that is neither archived nor deleted. Only what Conducto made for this "
        "profile is touched.",
    )
    gc.add_argument("--dry-run", action="store_true", help="only say what would be freed")
    _add_json(gc)


def _add_discover(verbs: _Verbs) -> None:
    discover = _add(
        verbs,
        "discover",
        "make a pipeline of the test files in a directory",
        "Each directory becomes a Parallel, each file a node that runs it with pytest or unittest. "
        "Prints the tree; --local --run runs it.",
    )
    discover.add_argument(
        "directory", metavar="DIR", nargs="?", default=".", help="default: the current one"
    )
    discover.add_argument(
        "--image",
        metavar="IMAGE",
        help="what to run the tests in (default: a Python with pytest and requirements.txt)",
    )
    discover.add_argument("--write", metavar="FILE", help="write a script into DIR instead")
    for name, text in (
        ("local", "launch it on this machine"),
        ("run", "start it at once"),
        ("detach", "do not stay with it"),
        ("plain", "lines instead of the live picture"),
    ):
        discover.add_argument(f"--{name}", action="store_true", help=text)


def _add_agent(verbs: _Verbs) -> None:
    agent = _add(
        verbs,
        "agent",
        "start, stop or look at the process that runs pipelines on this machine",
        "It starts by itself with the first launch and outlives the terminal.",
    )
    agent.add_argument("what", choices=("start", "stop", "status"), metavar="start|stop|status")
    _add_json(agent)

    add_admin_words(
        _add(
            verbs,
            "admin",
            "make tokens and set plans of an installation at AWS",
            "It uses your AWS credentials, and needs: pip install 'conducto[aws]'.",
        )
    )

    emulator = _add(
        verbs,
        "cloud-emulator",
        "try the cloud on this machine, without an AWS account",
        "It needs a container engine on Linux, and a checkout of Conducto. It keeps nothing.",
    )
    emulator.add_argument(
        "what", choices=("up", "down", "status", "token"), metavar="up|down|status|token"
    )
    emulator.add_argument("--port", type=int, default=0, help="of its API (default: a free one)")
    emulator.add_argument("--agent-base", metavar="IMAGE", help="image to build the agent's on")

    completion = _add(
        verbs,
        "completion",
        "print a script that completes commands, ids and paths in a shell",
        "bash: put 'source <(conducto completion bash)' into ~/.bashrc; zsh: the same with zsh "
        "into ~/.zshrc; fish: 'conducto completion fish | source' into config.fish.",
    )
    completion.add_argument("shell", choices=("bash", "zsh", "fish"), metavar="bash|zsh|fish")


def _add_installation(verbs: _Verbs) -> None:
    add_deploy(
        _add(
            verbs,
            "deploy",
            "deploy Conducto to your AWS account, or bring what is there up to date",
            "It checks first what it needs and uses your AWS credentials, Node, Docker, and: "
            "pip install 'conducto[deploy]'.",
        )
    )
    add_destroy(
        _add(
            verbs,
            "destroy",
            "remove an installation at AWS, without its data",
            "Records, output, files and secrets stay; it says where, and how to remove them.",
        )
    )
    add_usage(
        _add(
            verbs,
            "usage",
            "print what was used and spent, by month and pipeline",
            "In the cloud, if one is logged in. Reckoned from what commands took and a table of "
            "prices; AWS is not asked.",
        )
    )
    add_doctor(_add(verbs, "doctor", "check what works on this machine, and what to do if not"))


def _add_serialised(verbs: _Verbs) -> None:
    for name, summary in COMMANDS.items():
        _add(verbs, name, summary, "This is how other languages define pipelines.")
    dump = _add(
        verbs,
        "dump-serialization",
        "print the tree of a pipeline as it was launched, for 'conducto build'",
    )
    _add_id(dump)
    dump.add_argument("--outfile", metavar="FILE", help="write it to a file instead")

    share = _add(
        verbs,
        "share-directory",
        "give a directory of this machine a name that scripts can use",
        "As co.Image.share_directory does, for all scripts of the profile.",
    )
    share.add_argument("name", metavar="NAME")
    share.add_argument("directory", metavar="DIR")


def _add_of_scripts(verbs: _Verbs) -> None:
    plan = _add(verbs, "plan", "print what a script's pipeline would take and cost in the cloud")
    add_plan(plan)
    summary = "print the AWS state machines of a script's pipeline; runs nothing"
    compiling = _add(verbs, "compile", summary)
    add_compile(compiling)
    for parser in (plan, compiling):
        add_method(parser)


def _time(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be a time such as 30m or 2h, got {text!r}"
        ) from None


def _positive(text: str) -> int:
    number = _count(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, got {text}")
    return number


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise argparse.ArgumentTypeError(f"must be a whole number, got {text!r}")
    return int(text)


def _line_range(text: str) -> tuple[int, int | None]:
    first, colon, last = text.partition(":")
    begin = _positive(first)
    if not colon:
        return begin, begin
    end = None if last == "" else _positive(last)
    if end is not None and end < begin:
        raise argparse.ArgumentTypeError(f"ends before it begins: {text}")
    return begin, end
