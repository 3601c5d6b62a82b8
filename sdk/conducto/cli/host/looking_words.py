"""The verbs that look at pipelines, and their data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conducto.cli.host.verbs import (
    ID_HELP,
    PATHS_HELP,
    a_count,
    a_line_range,
    a_positive,
    add_id,
    add_json,
    add_verb,
)
from conducto.model.states import State

if TYPE_CHECKING:
    from conducto.cli.host.verbs import Verbs

_STATES = tuple(state.value for state in State)


def add_lists(verbs: Verbs) -> None:
    """Add what lists pipelines and their images."""
    listing = add_verb(verbs, "list", "list pipelines, the newest first")
    listing.add_argument("--state", choices=_STATES, help="only those in this state")
    listing.add_argument("--tag", metavar="TAG", help="only those that have this tag")
    listing.add_argument("--owner", metavar="NAME", help="only those of this person")
    listing.add_argument(
        "--text", metavar="TEXT", help="only those whose id, title, tags or script hold this"
    )
    listing.add_argument("--all", action="store_true", help="archived ones as well")
    listing.add_argument(
        "-n", "--limit", metavar="N", type=a_positive, help="no more than the newest N"
    )

    images = add_verb(verbs, "images", "list the images of a pipeline and how their builds stand")
    add_id(images)
    images.add_argument("--log", metavar="NAME", help="instead, what the build of one printed")
    images.add_argument(
        "-f", "--follow", action="store_true", help="with --log: stay until the build has ended"
    )
    add_json(listing, images)


def add_looks(verbs: Verbs) -> None:
    """Add what shows one pipeline, its nodes and their output."""
    _add_show(verbs)

    tree = add_verb(verbs, "tree", "print the nodes of a pipeline and how they stand")
    add_id(tree)
    tree.add_argument("paths", metavar="PATH", nargs="*", help=PATHS_HELP)
    tree.add_argument("--depth", metavar="N", type=a_count, help="only N levels below each PATH")
    tree.add_argument(
        "--state", choices=(*_STATES, "failed", "skipped"), help="only Execs in this state"
    )

    diff = add_verb(
        verbs,
        "diff",
        "show what changed between two attempts of a node",
        "The command, environment, image and limits, how it ended, and what it printed. "
        "Without numbers: the last two attempts; with one: that and the newest.",
    )
    add_id(diff)
    diff.add_argument("path", metavar="PATH", help="an Exec")
    diff.add_argument("first", metavar="A", nargs="?", type=a_positive, help="an attempt's number")
    diff.add_argument("second", metavar="B", nargs="?", type=a_positive, help="another's")
    add_json(tree, diff)
    _add_logs(verbs)
    _add_export(verbs)


def _add_show(verbs: Verbs) -> None:
    show = add_verb(
        verbs,
        "show",
        "show a pipeline, or all about one node",
        "On a terminal it is live, and keys act on the pipeline ('?' lists them). It stays until "
        "the pipeline settles, like --local --run, and ends with the same exit code; one that has "
        "settled stays until you leave with 'q'. Elsewhere it prints the tree once.",
    )
    show.add_argument(
        "id", metavar="ID", nargs="?", help=f"{ID_HELP}; --app without it opens the list"
    )
    show.add_argument(
        "path",
        metavar="PATH",
        nargs="?",
        help="a node: where its parameters come from, its attempts",
    )
    show.add_argument(
        "--failed",
        action="store_true",
        help="only list what failed: Execs, and groups that timed out",
    )
    show.add_argument("--once", action="store_true", help="print the tree once and return")
    show.add_argument("--plain", action="store_true", help="stay, but print lines, no live picture")
    show.add_argument(
        "--app",
        action="store_true",
        help="open its page in a browser, signed in; print its address and a code to sign in with",
    )
    show.add_argument("--json", action="store_true", help="everything, with all attempts")


def _add_logs(verbs: Verbs) -> None:
    logs = add_verb(
        verbs,
        "logs",
        "print what a node printed, byte for byte",
        "stdout goes to stdout and stderr to stderr, unless one of them is asked for.",
    )
    add_id(logs)
    logs.add_argument("path", metavar="PATH", nargs="?", help="an Exec")
    logs.add_argument(
        "--attempt", type=a_positive, metavar="N", help="counted from 1 (default: the newest)"
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
    part.add_argument("--tail", metavar="N", type=a_positive, help="only the last N lines")
    part.add_argument(
        "--lines",
        metavar="FROM[:TO]",
        type=a_line_range,
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


def _add_export(verbs: Verbs) -> None:
    export = add_verb(
        verbs,
        "export",
        "write a pipeline, as it is now, into one HTML file",
        "To keep, to send, or to attach to a pull request: any browser shows it, offline, on a "
        "phone and on paper. It has the failures with their last output, the tree with commands "
        "and attempts, a timeline and the images; no scripts, no variables of the environment, "
        "and values of secrets masked. Of a large tree it has what failed or runs, and the upper "
        "levels.",
    )
    add_id(export)
    export.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="where to (default: its title and .html, in this directory); '-' is stdout",
    )
    export.add_argument("--force", action="store_true", help="write over a file that is there")


def add_data(verbs: Verbs) -> None:
    """Add what reads and writes files of data."""
    about = "Names are paths below the directory, such as results/table.csv."
    data = add_verb(verbs, "data", "list, read, write or delete files that commands share", about)
    whats = data.add_subparsers(dest="what", metavar="list|get|put|rm", required=True)
    listing = add_verb(whats, "list", "list the entries of a directory")
    getting = add_verb(whats, "get", "read a file")
    putting = add_verb(whats, "put", "write a file, over one of the same name")
    removing = add_verb(whats, "rm", "delete files")
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
    add_json(listing, putting, removing)
