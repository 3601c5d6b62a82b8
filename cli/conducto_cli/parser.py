"""What the ``conducto`` command takes: its verbs, options and the texts of ``--help``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from conducto.tools.run import print_usage
from conducto.tools.serialized import COMMANDS
from conducto_cli.argument_parser import Parser, keep_quiet
from conducto_cli.arguments import add_id, add_json, add_verb
from conducto_cli.commands.actions import add_orders
from conducto_cli.commands.admin import add_arguments as add_admin_words
from conducto_cli.commands.data import add_data
from conducto_cli.commands.debug import add_shells
from conducto_cli.commands.deploy import add_deploy, add_destroy
from conducto_cli.commands.doctor import add_doctor
from conducto_cli.commands.list import add_lists
from conducto_cli.commands.login import add_login
from conducto_cli.commands.show import add_looks
from conducto_cli.commands.usage import add_usage
from conducto_cli.exit_codes import BRIEF
from conducto_cli.script_arguments import add_compile, add_method, add_plan
from conducto_cli.target import LOGIN_HINT, OF_A_PIPELINE, add_side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conducto_cli.arguments import Verbs
from conducto_cli.arguments import NAME_ALONE

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
#: How ``--help`` lists the verbs.
GROUPS = {
    "look at pipelines": (
        "list", "show", "tree", "logs", "diff", "images", "data", "export", "usage",
    ),
    "act on them": (
        "run", "pause", "reset", "skip", "unskip", "kill", "modify", "rebuild", "sleep", "wake",
        "archive",
    ),
    "work in their containers": ("debug", "livedebug"),
    "make pipelines": (
        "discover", "plan", "compile", "build", "validate-serialization", "dump-serialization",
    ),
    "this machine": ("secrets", "agent", "gc", "doctor", "share-directory", "completion"),
    "the cloud": (
        "login", "logout", "whoami", "deploy", "destroy", "admin", "cloud-emulator",
    ),
}  # fmt: skip
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
        formatter_class=_Grouped,
    )
    parser.add_argument("--version", action=_Version, help="print the version and exit")
    parser.add_argument(
        "--profile", metavar="P", help="the profile to use (default: $CONDUCTO_PROFILE)"
    )
    verbs = parser.add_subparsers(dest="verb", metavar="COMMAND", title="commands")
    add_lists(verbs)
    add_looks(verbs)
    add_data(verbs)
    add_orders(verbs)
    add_shells(verbs)
    _add_secrets(verbs)
    _add_agent(verbs)
    _add_gc(verbs)
    _add_discover(verbs)
    _add_installation(verbs)
    _add_serialised(verbs)
    _add_of_scripts(verbs)
    add_login(
        add_verb(verbs, "login", "log in to a cloud installation: check a token and keep it"),
        add_verb(verbs, "logout", "forget the token of the cloud installation"),
        add_verb(verbs, "whoami", "print whose the token is, as the cloud installation says"),
    )
    keep_quiet(verbs.choices["login"], LOGIN_HINT)
    for name in (*OF_PIPELINES, "usage"):
        add_side(verbs.choices[name], told=_SIDES.get(name, OF_A_PIPELINE))
    parser.set_defaults(side=None)
    return parser


class _Grouped(argparse.RawDescriptionHelpFormatter):
    """Lists the verbs by what they are for."""

    def _format_action(self, action: argparse.Action) -> str:
        if not isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - argparse has
            return super()._format_action(action)  # no other way to take a part in its help
        verbs = {verb.dest: verb for verb in action._get_subactions()}  # noqa: SLF001
        parts = []
        for title, names in GROUPS.items():
            parts.append(f"{'':{self._current_indent}}{title}:\n")
            self._indent()
            parts += map(super()._format_action, [verbs[name] for name in names])
            self._dedent()
        return "".join(parts)


class _Version(argparse.Action):
    """Reads the version only when asked for it."""

    def __init__(self, option_strings: Sequence[str], dest: str, **kwargs: str | None) -> None:
        super().__init__(option_strings, dest, nargs=0, help=kwargs.get("help"))

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

        try:
            text = f"conducto {version('conducto')}"
        except PackageNotFoundError:
            text = "conducto, not installed: run from its source"
        parser.exit(print_usage(text))


def _add_secrets(verbs: Verbs) -> None:
    about = (
        "They become variables of every command; their values are masked in what commands print. "
        "Values are read from a prompt, from stdin or from a variable, never from the command line."
    )
    secrets = add_verb(verbs, "secrets", "list, set or delete secrets", about)
    whats = secrets.add_subparsers(dest="what", metavar="list|set|delete", required=True)
    listing = add_verb(whats, "list", "list secrets, without values")
    setting = add_verb(whats, "set", "store a secret over one of the same name", about)
    setting.add_argument("name", metavar="NAME", help="name of the variable")
    # Taken in order to be refused in our words; argparse would print it.
    setting.add_argument("given", nargs="*", help=argparse.SUPPRESS)
    setting.add_argument("--from-env", metavar="VARIABLE", help="take the value of this variable")
    setting.add_argument("--no-mask", action="store_true", help="let commands print it")
    deleting = add_verb(whats, "delete", "delete secrets")
    deleting.add_argument("names", metavar="NAME", nargs="+")
    for parser in (setting, deleting):
        parser.add_argument(
            "--org", action="store_true", help="of the organisation (default: of the user)"
        )
    add_json(listing, setting, deleting)
    keep_quiet(secrets, NAME_ALONE)


def _add_gc(verbs: Verbs) -> None:
    gc = add_verb(
        verbs,
        "gc",
        "free what no live pipeline needs: containers, networks, images, snapshots, files",
        "Live is a pipeline that is neither archived nor deleted. Only what Conducto made for this "
        "profile is touched.",
    )
    gc.add_argument("--dry-run", action="store_true", help="only say what would be freed")
    add_json(gc)


def _add_discover(verbs: Verbs) -> None:
    discover = add_verb(
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


def _add_agent(verbs: Verbs) -> None:
    agent = add_verb(
        verbs,
        "agent",
        "start, stop, repair or look at the process that runs pipelines on this machine",
        "It starts by itself with the first launch and outlives the terminal. repair rebuilds its "
        "store where that is lost or damaged, from the directories of the pipelines.",
    )
    words = ("start", "stop", "status", "repair")
    agent.add_argument("what", choices=words, metavar="|".join(words))
    add_json(agent)

    add_admin_words(
        add_verb(
            verbs,
            "admin",
            "make tokens and set plans of an installation at AWS",
            "It uses your AWS credentials, and needs: pip install 'conducto[aws]'.",
        )
    )

    emulator = add_verb(
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
    emulator.add_argument(
        "--strict",
        action="store_true",
        help="enforce AWS's limits, and let go wrong by chance what can go wrong there",
    )
    emulator.add_argument(
        "--latency", choices=["aws"], help="take as long as AWS (a model; default: no delays)"
    )
    emulator.add_argument(
        "--seed", type=int, help="repeat the chance of --strict and --latency; its log names it"
    )

    completion = add_verb(
        verbs,
        "completion",
        "print a script that completes commands, ids and paths in a shell",
        "bash: put 'source <(conducto completion bash)' into ~/.bashrc; zsh: the same with zsh "
        "into ~/.zshrc; fish: 'conducto completion fish | source' into config.fish.",
    )
    completion.add_argument("shell", choices=("bash", "zsh", "fish"), metavar="bash|zsh|fish")


def _add_installation(verbs: Verbs) -> None:
    add_deploy(
        add_verb(
            verbs,
            "deploy",
            "deploy Conducto to your AWS account, or bring what is there up to date",
            "It checks first what it needs and uses your AWS credentials, Node, Docker, and: "
            "pip install 'conducto[deploy]'.",
        )
    )
    add_destroy(
        add_verb(
            verbs,
            "destroy",
            "remove an installation at AWS, without its data",
            "Records, output, files and secrets stay; it says where, and how to remove them.",
        )
    )
    add_usage(
        add_verb(
            verbs,
            "usage",
            "print what was used and spent, by month and pipeline",
            "In the cloud, if one is logged in. Reckoned from the time of workers and a table of "
            "prices; AWS is not asked.",
        )
    )
    add_doctor(add_verb(verbs, "doctor", "check what works on this machine, and what to do if not"))


def _add_serialised(verbs: Verbs) -> None:
    for name, summary in COMMANDS.items():
        add_verb(verbs, name, summary, "This is how other languages define pipelines.")
    dump = add_verb(
        verbs,
        "dump-serialization",
        "print the tree of a pipeline as it was launched, for 'conducto build'",
    )
    add_id(dump)
    dump.add_argument("--outfile", metavar="FILE", help="write it to a file instead")

    share = add_verb(
        verbs,
        "share-directory",
        "give a directory of this machine a name that scripts can use",
        "As co.Image.share_directory does, for all scripts of the profile.",
    )
    share.add_argument("name", metavar="NAME")
    share.add_argument("directory", metavar="DIR")


def _add_of_scripts(verbs: Verbs) -> None:
    plan = add_verb(
        verbs, "plan", "print what a script's pipeline would take and cost in the cloud"
    )
    add_plan(plan)
    summary = "print the AWS state machines of a script's pipeline; runs nothing"
    compiling = add_verb(verbs, "compile", summary)
    add_compile(compiling)
    for parser in (plan, compiling):
        add_method(parser)
