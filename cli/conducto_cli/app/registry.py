"""The commands of ``conducto``: one row per command, and the module that implements it.

``--help``, completion and `conducto_cli.main` read this table. The module of a command is imported
when its arguments are parsed.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from conducto.tools.output_tools import COMMANDS as OUTPUT_COMMANDS
from conducto.tools.serialized import COMMANDS as TREE_COMMANDS
from conducto.version import install_command

if TYPE_CHECKING:
    from types import ModuleType

#: Help of ``--local`` and ``--cloud`` for a command that names a pipeline.
PIPELINE_TARGET = "the pipeline is {} (default: wherever its ID is known, here first)"


class RunSignature(Enum):
    """The parameters of a command's function ``run``."""

    CLIENT = auto()
    """``run(arguments, open_client)``. The first client starts the agent: check usage before."""
    ARGUMENTS = auto()
    """``run(arguments)``: no agent is needed."""
    WORDS = auto()
    """``run(words)``: it parses its command line itself, because a part is for a script."""
    ENTRY = auto()
    """None: `conducto.tools.entry` runs it, also in containers, and has its summary."""


@dataclass(frozen=True, slots=True)
class CommandRow:
    """A command: its place in ``--help``, and how it is called.

    Attributes:
        module: Module below `conducto_cli` with the functions ``add_arguments(parser)`` and
            ``run``.
        group: Heading in ``conducto --help``.
        summary: Line in ``conducto --help``.
        details: Text that follows the summary in the command's own ``--help``.
        call: Parameters of ``run``.
        target: Help of ``--local`` and ``--cloud``, which commands with a client accept. None: the
            command is about this machine only.
        prefers_cloud: Whether it is about the cloud by default if the profile is logged in.
        needs_engine: Whether commands may start, so that the agent must find the engine.
    """

    module: str
    group: str
    summary: str
    details: str = ""
    call: RunSignature = RunSignature.CLIENT
    target: str | None = PIPELINE_TARGET
    prefers_cloud: bool = False
    needs_engine: bool = False

    @property
    def accepts_target(self) -> bool:
        """Whether ``--local`` and ``--cloud`` are options of the command."""
        return self.call is RunSignature.CLIENT and self.target is not None

    @property
    def needs_pipelines(self) -> bool:
        return self.group in {_LOOK, _ACT, _SHELLS}

    def load(self) -> ModuleType:
        return importlib.import_module(f"conducto_cli.{self.module}")


_LOOK = "look at pipelines"
_ACT = "act on them"
_SHELLS = "work in their containers"
_START = "start here"
_MAKE = "make pipelines"
_IN_COMMANDS = "in commands of nodes"
_MACHINE = "this machine"
_CLOUD = "the cloud"

#: The commands in the order of ``--help``.
COMMANDS = {
    "demo": CommandRow(
        "projects.demo_command",
        _START,
        "run a pipeline that draws a picture, and open its page",
        "In containers: a map of the airports of the world, whose packages come from a package "
        "index. Without a container engine: a picture that needs only Python, as plain processes.",
        call=RunSignature.ARGUMENTS,
    ),
    "init": CommandRow(
        "projects.init_command",
        _START,
        "write a small project that runs at once",
        "A pipeline, .conducto.cfg for triggers, and a workflow for GitHub Actions that installs "
        "this version by its hash. It never overwrites a file.",
        call=RunSignature.ARGUMENTS,
    ),
    "list": CommandRow(
        "run.list_command",
        _LOOK,
        "list pipelines, the newest first",
        target="only the pipelines {} (default: both, if one is logged in to a cloud)",
    ),
    "approvals": CommandRow(
        "approvals.list_command",
        _LOOK,
        "list the nodes that wait for your approval, the oldest first",
        target="only those {} (default: both, if one is logged in to a cloud)",
    ),
    "show": CommandRow(
        "run.show_command",
        _LOOK,
        "show a pipeline, or all about one node",
        "On a terminal it is live, and keys act on the pipeline ('?' lists them). It stays until "
        "the pipeline settles, like --local --run, and ends with the same exit code; one that has "
        "settled stays until you leave with 'q'. Elsewhere it prints the tree once.",
    ),
    "open": CommandRow(
        "run.open_command",
        _LOOK,
        "open the page of a pipeline in a browser",
        "It signs the browser in, and prints the address and a code to sign another one in with.",
    ),
    "tree": CommandRow("run.tree_command", _LOOK, "print the nodes of a pipeline and their states"),
    "logs": CommandRow(
        "logs.command",
        _LOOK,
        "print what a node printed, byte for byte",
        "stdout goes to stdout and stderr to stderr, unless one of them is asked for.",
    ),
    "metrics": CommandRow(
        "results.command",
        _LOOK,
        "compare the metrics of the last pipelines with a title",
        "The last value of each metric of the newest attempts, a row for each pipeline.",
    ),
    "tests": CommandRow(
        "test_results.command",
        _LOOK,
        "show the tests of a pipeline or a program, and quarantine some",
        'From the JUnit files that nodes with junit="reports/*.xml" write. With the ID of a '
        "pipeline: its failures first, compared with the pipeline before. With a title: the "
        "outcomes of each test in the last pipelines, the oldest first: p passed, f failed, s "
        "skipped, x failed and passed, - did not run.",
    ),
    "coverage": CommandRow(
        "coverage.command",
        _LOOK,
        "show the covered lines of a pipeline",
        'From the coverage files that nodes with coverage="coverage.xml" write, compared with the '
        "pipeline of the base, or the last one of the program.",
    ),
    "diff": CommandRow(
        "programs.diff_command",
        _LOOK,
        "show what changed between two attempts of a node",
        "The command, environment, image and limits, how it ended, and what it printed. "
        "Without numbers: the last two attempts; with one: that and the newest.",
    ),
    "compare": CommandRow(
        "programs.compare_command",
        _LOOK,
        "show what changed between two pipelines",
        "Commands that fail now, are fixed, or are slower; changed commands, images and results; "
        "added and removed nodes.",
    ),
    "explain": CommandRow(
        "diagnosis.command",
        _LOOK,
        "explain why a pipeline failed",
        "Failures by cause with the first error of each, the changes since the program last "
        "passed, the commands that did not run because of it, and the next steps.",
    ),
    "why": CommandRow(
        "programs.why_command",
        _LOOK,
        "show why a command ran",
        "The files, variables, secrets, results and settings that differ from those of the nearest "
        "earlier attempt: of this pipeline, or of earlier pipelines of its program.",
    ),
    "lineage": CommandRow(
        "cache.lineage_command",
        _LOOK,
        "show the files of cached commands, or the origin of a file",
        "The files that commands with reads= and writes= saw and wrote, and those that have "
        "changed since; or, for a file of the pipeline's data, the attempts that led to it.",
    ),
    "advice": CommandRow(
        "programs.advice_command",
        _LOOK,
        "show advice about the commands of a program",
        "Commands that ask for more memory than they use, and what less would save; and commands "
        "that fail and pass without a change, in the newest 30 finished pipelines of its program.",
    ),
    "partitions": CommandRow(
        "partitions.command",
        _LOOK,
        "show which partitions of a program have run",
        "The state of each: missing, running, done, failed or stale; and the letters of its steps.",
    ),
    "activity": CommandRow(
        "activity.command",
        _LOOK,
        "show the running and the waiting commands of all pipelines",
        "The running commands, those that run longest first, and the reasons why others wait.",
    ),
    "images": CommandRow(
        "images.command", _LOOK, "list the images of a pipeline and the states of their builds"
    ),
    "data": CommandRow(
        "data.command",
        _LOOK,
        "list, read, write or delete files that commands share",
        "Names are paths below the directory, such as results/table.csv.",
    ),
    "export": CommandRow(
        "run.export_command",
        _LOOK,
        "write a pipeline, as it is now, into one HTML file",
        "To keep, to send, or to attach to a pull request: any browser shows it, offline, on a "
        "phone and on paper. It has the failures with their last output, the tree with commands "
        "and attempts, a timeline and the images; no scripts, no variables of the environment, "
        "and values of secrets masked. Of a large tree it has the failed and running nodes, and "
        "the upper levels.",
    ),
    "usage": CommandRow(
        "billing.usage_command",
        _LOOK,
        "print usage and costs, by month and pipeline",
        "In the cloud, if one is logged in. Reckoned from the time of workers and a table of "
        "prices; AWS is not asked.",
        target="the usage {} (default: in the cloud, if one is logged in)",
        prefers_cloud=True,
    ),
    "run": CommandRow(
        "run.actions_command", _ACT, "start a pending or paused pipeline", needs_engine=True
    ),
    "pause": CommandRow(
        "run.actions_command", _ACT, "start nothing more; running commands continue"
    ),
    "reset": CommandRow(
        "run.actions_command",
        _ACT,
        "run nodes again",
        "Other nodes keep their results; earlier attempts and their output are kept.",
        needs_engine=True,
    ),
    "rerun": CommandRow(
        "run.actions_command",
        _ACT,
        "reset nodes and run the pipeline",
        "Other nodes keep their results; earlier attempts and their output are kept.",
        needs_engine=True,
    ),
    "skip": CommandRow("run.actions_command", _ACT, "leave nodes out, as if they were done"),
    "unskip": CommandRow("run.actions_command", _ACT, "take skipped nodes in again"),
    "kill": CommandRow(
        "run.actions_command", _ACT, "kill running commands", "Without a PATH: everything."
    ),
    "approve": CommandRow(
        "approvals.approve_command",
        _ACT,
        "approve or reject a node that waits for a person",
        "The decision is kept with your user name and the comment.",
    ),
    "modify": CommandRow(
        "run.actions_command",
        _ACT,
        "change parameters of nodes in this pipeline, not in its script",
        "Running commands keep their values; reset them to use the new ones. An empty value "
        "removes a parameter, so that it is inherited.",
    ),
    "patch": CommandRow(
        "assistants.patch_command",
        _ACT,
        "print what 'modify' changed in a pipeline as a change of its script",
        "A diff for 'git apply', or with --apply the change itself. A line is changed only if it "
        "certainly made the node; anything else is a sentence on stderr, and exit code 1.",
    ),
    "rebuild": CommandRow(
        "run.actions_command",
        _ACT,
        "build the images of nodes again, with the current code, and run the nodes again",
        needs_engine=True,
    ),
    "cancel": CommandRow(
        "run.actions_command", _ACT, "pause a pipeline and kill its running commands"
    ),
    "sleep": CommandRow(
        "run.actions_command", _ACT, "stop running commands and remove containers, keep all else"
    ),
    "wake": CommandRow(
        "run.actions_command",
        _ACT,
        "take a pipeline out of sleep or the archive; it does not run yet",
        needs_engine=True,
    ),
    "archive": CommandRow(
        "run.actions_command", _ACT, "stop running commands and take the pipeline off the list"
    ),
    "launch": CommandRow(
        "launch.command",
        _ACT,
        "launch the program of a pipeline again, with other parameters",
        "The agent runs the script again, in the same directory and with the same Python. Values "
        "that are not set are those of the pipeline.",
    ),
    "backfill": CommandRow(
        "partitions.backfill_command",
        _ACT,
        "run many partitions of a program in one pipeline",
        "A child for each partition, named by it. Of a FILE.py, the script runs here; of a "
        "pipeline, the agent runs its script again.",
    ),
    "delete": CommandRow(
        "run.delete_command",
        _ACT,
        "delete a pipeline with its output, data and history, archived or not",
        "It asks first on a terminal. A pipeline that runs, or that will start by itself, is not "
        "deleted: archive it first, which stops it. A paused one is deleted.",
    ),
    "debug": CommandRow(
        "debug.command",
        _SHELLS,
        "open a shell in a fresh container like the one a node ran in",
        "Same image, environment, secrets, data, directory and limits; the node's command is "
        "/conducto/cmd.sh there. Ends with the shell's exit code.",
        needs_engine=True,
    ),
    "livedebug": CommandRow(
        "debug.command",
        _SHELLS,
        "open a debug shell with your code mounted over its copy in the image",
        "What you change on this machine is there in the container at once, and the other way.",
    ),
    "discover": CommandRow(
        "launch.discover_command",
        _MAKE,
        "make a pipeline of the test files in a directory",
        "Each directory becomes a Parallel, each file a node that runs it with pytest or unittest. "
        "Prints the tree; --local --run runs it.",
        call=RunSignature.ARGUMENTS,
    ),
    "import": CommandRow(
        "import_github.command",
        _MAKE,
        "translate workflows of GitHub Actions to the script of a pipeline",
        "It needs no network. Parts without a counterpart are listed on stderr with their lines "
        "and a proposal; commands that depend on them are skipped nodes.",
        call=RunSignature.ARGUMENTS,
    ),
    "plan": CommandRow(
        "launch.plan_command",
        _MAKE,
        "print what a script's pipeline would take and cost in the cloud",
        call=RunSignature.WORDS,
    ),
    "compile": CommandRow(
        "launch.compile_command",
        _MAKE,
        "print the AWS state machines of a script's pipeline; runs nothing",
        call=RunSignature.WORDS,
    ),
    "build": CommandRow(
        "",
        _MAKE,
        TREE_COMMANDS["build"],
        "This is how other languages define pipelines.",
        call=RunSignature.ENTRY,
    ),
    "validate-serialization": CommandRow(
        "",
        _MAKE,
        TREE_COMMANDS["validate-serialization"],
        "This is how other languages define pipelines.",
        call=RunSignature.ENTRY,
    ),
    "dump-serialization": CommandRow(
        "run.dump_command",
        _MAKE,
        "print the tree of a pipeline as it was launched, for 'conducto build'",
    ),
    "schedule": CommandRow(
        "schedules.command",
        _MAKE,
        "launch pipelines at given times, or when other pipelines end",
        "The agent fires schedules while it runs; 'conducto agent enable' makes it run without a "
        "terminal. In the cloud they fire by themselves.",
        target="the schedules {} (default: those of this machine)",
    ),
    **{
        name: CommandRow("", _IN_COMMANDS, summary, call=RunSignature.ENTRY)
        for name, summary in OUTPUT_COMMANDS.items()
    },
    "notify": CommandRow(
        "notifications.command",
        _MACHINE,
        "list, add or delete rules that send notifications",
        "A rule reports the start, the failure or the success of pipelines to a webhook, to Slack, "
        "by mail or on the commit, without a callback in the script.",
        target="the rules {} (default: those of this machine)",
    ),
    "cache": CommandRow(
        "cache.command",
        _MACHINE,
        "list and delete the results of cached commands",
        "A command with cache=True does not run again while its inputs are the same. "
        "'conducto why ID PATH' shows why one ran.",
        target="the cache {} (default: that of this machine)",
    ),
    "secrets": CommandRow(
        "secrets.command",
        _MACHINE,
        "list, set or delete secrets",
        "They become variables of every command; their values are masked in what commands print. "
        "Values are read from a prompt, from stdin or from a variable, never from the command "
        "line.",
        target="the secrets {} (default: those of this machine)",
    ),
    "agent": CommandRow(
        "remote.agent_command",
        _MACHINE,
        "start, stop, link or look at the process that runs pipelines on this machine",
        "It starts by itself with the first launch and outlives the terminal. repair rebuilds its "
        "store where that is lost or damaged, from the directories of the pipelines.",
        call=RunSignature.ARGUMENTS,
    ),
    "gc": CommandRow(
        "run.gc_command",
        _MACHINE,
        "free what no live pipeline needs: containers, networks, images, snapshots, files",
        "Live is a pipeline that is neither archived nor deleted. Only what Conducto made for this "
        "profile is touched.",
        target=None,
    ),
    "doctor": CommandRow(
        "deploy.doctor_command",
        _MACHINE,
        "check what works on this machine, and what to do if not",
        call=RunSignature.ARGUMENTS,
    ),
    "mcp": CommandRow(
        "assistants.mcp_command",
        _MACHINE,
        "serve the tools of a coding assistant over standard input and output",
        "The assistant's client starts it, and it speaks the Model Context Protocol. It has a "
        "token of its own, which the server checks: no approvals, people, secrets, schedules or "
        "triggers.",
        target="pipelines {} (default: here)",
    ),
    "skill": CommandRow(
        "assistants.skill_command",
        _MACHINE,
        "teach coding assistants how to work with Conducto",
        call=RunSignature.ARGUMENTS,
    ),
    "docs": CommandRow(
        "assistants.docs_command",
        _MACHINE,
        "search the documentation of this version, without a network",
        call=RunSignature.ARGUMENTS,
    ),
    "share-directory": CommandRow(
        "data.share_command",
        _MACHINE,
        "give a directory of this machine a name that scripts can use",
        "As co.Image.share_directory does, for all scripts of the profile.",
        call=RunSignature.ARGUMENTS,
    ),
    "completion": CommandRow(
        "app.completion_command",
        _MACHINE,
        "print a script that completes commands, ids and paths in a shell",
        "bash: put 'source <(conducto completion bash)' into ~/.bashrc; zsh: the same with zsh "
        "into ~/.zshrc; fish: 'conducto completion fish | source' into config.fish.",
        call=RunSignature.ARGUMENTS,
    ),
    "login": CommandRow(
        "people.login_command",
        _CLOUD,
        "log in to a cloud installation and keep the token",
        call=RunSignature.ARGUMENTS,
    ),
    "agents": CommandRow(
        "remote.agents_command",
        _CLOUD,
        "list or forget the machines that are linked to the organisation",
        "Their pipelines are listed beside those of the cloud, with a/AGENT/ID as their ids.",
        call=RunSignature.ARGUMENTS,
    ),
    "trigger": CommandRow(
        "triggers.command",
        _CLOUD,
        "list, add, delete or try triggers: pipelines that pushes or events launch",
        "Webhooks of repositories reach only the cloud. Triggers by events (--event) are also on "
        "this machine, while its agent runs.",
        target="the triggers by events {} (default: in the cloud if this profile is logged in)",
        prefers_cloud=True,
    ),
    "trusts": CommandRow(
        "people.trusts_command",
        _CLOUD,
        "list, add or delete the CI runs that may get tokens",
        call=RunSignature.ARGUMENTS,
    ),
    "logout": CommandRow(
        "people.logout_command",
        _CLOUD,
        "forget the token of the cloud installation",
        call=RunSignature.ARGUMENTS,
    ),
    "whoami": CommandRow(
        "people.whoami_command",
        _CLOUD,
        "print the owner of the token, as the cloud installation knows it",
        call=RunSignature.ARGUMENTS,
    ),
    "org": CommandRow(
        "people.organisation_command",
        _CLOUD,
        "list, switch, create or delete organisations",
        call=RunSignature.ARGUMENTS,
    ),
    "members": CommandRow(
        "people.members_command",
        _CLOUD,
        "list, change or remove members of the organisation",
        call=RunSignature.ARGUMENTS,
    ),
    "billing": CommandRow(
        "billing.command",
        _CLOUD,
        "show the plan and the bill, enable billing, set a spend limit",
        "For owners of an organisation, in installations with billing.",
        call=RunSignature.ARGUMENTS,
    ),
    "invite": CommandRow(
        "people.invite_command",
        _CLOUD,
        "invite somebody to the organisation",
        call=RunSignature.ARGUMENTS,
    ),
    "tokens": CommandRow(
        "people.tokens_command",
        _CLOUD,
        "list, create or revoke tokens and sessions",
        call=RunSignature.ARGUMENTS,
    ),
    "audit": CommandRow(
        "people.audit_command",
        _CLOUD,
        "list the requests in the organisation that did more than read",
        call=RunSignature.ARGUMENTS,
    ),
    "deploy": CommandRow(
        "deploy.command",
        _CLOUD,
        "deploy Conducto to your AWS account, or update the installation",
        "It checks first what it needs and uses your AWS credentials, Node, Docker, and: "
        f"{install_command('deploy')}.",
        call=RunSignature.ARGUMENTS,
    ),
    "destroy": CommandRow(
        "deploy.destroy_command",
        _CLOUD,
        "remove an installation at AWS, without its data",
        "Records, output, files and secrets stay; it says where, and how to remove them.",
        call=RunSignature.ARGUMENTS,
    ),
    "admin": CommandRow(
        "people.admin_command",
        _CLOUD,
        "make tokens and set plans of an installation at AWS",
        f"It uses your AWS credentials, and needs: {install_command('aws')}.",
        call=RunSignature.ARGUMENTS,
    ),
    "cloud-emulator": CommandRow(
        "deploy.emulator_command",
        _CLOUD,
        "try the cloud on this machine, without an AWS account",
        "It needs a container engine on Linux, and a checkout of Conducto. It keeps nothing.",
        call=RunSignature.ARGUMENTS,
    ),
}
