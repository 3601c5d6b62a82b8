"""Texts of the reference pages that `generate` cannot take from the code."""

_NEAREST = "nearest"
_HERE = "no"
#: ``{node parameter: how nodes below get it}``
INHERITANCE = {
    "cache": _NEAREST,
    "callback_data": _HERE,
    "code": _NEAREST,
    "container_reuse_context": "[reachable nodes](../concepts/container-reuse.md)",
    "cpu": _NEAREST,
    "doc": _HERE,
    "docker_run_args": _NEAREST,
    "env": "merged, nearest wins",
    "file": _HERE,
    "gpu": _NEAREST,
    "image": _NEAREST,
    "image_name": _NEAREST,
    "isolate": _NEAREST,
    "junit": _NEAREST,
    "coverage": _NEAREST,
    "launch": _NEAREST,
    "limits": "added along the path",
    "line": _HERE,
    "max_concurrent": _HERE,
    "max_time": "nearest; also limits its own group as a whole",
    "mem": _NEAREST,
    "name": _HERE,
    "pipeline_reservation": _HERE,
    "requires_docker": _NEAREST,
    "budget": _HERE,
    "budget_action": _HERE,
    "retry": _NEAREST,
    "retry_lost": _NEAREST,
    "same_container": "as `container_reuse_context`",
    "secrets": _NEAREST,
    "services": "added along the path",
    "buckets": "added along the path",
    "run_if": "applies to everything below",
    "skip": "skips everything below",
    "snapshot_on_error": _NEAREST,
    "arch": _NEAREST,
    "spot": _NEAREST,
    "machine": _NEAREST,
    "stop_on_error": _HERE,
    "suppress_errors": _HERE,
    "tags": _HERE,
    "title": _HERE,
}
#: Descriptions of parameters for which the code has none, or whose attribute has two uses.
MEANINGS = {
    "launch": "The command may launch pipelines with `co.launch`; inherited, False by default. "
    "`node.launch` is also the method that starts a tree, so read the value as `node.may_launch`.",
    "name": "Name below the innermost open `with` block, to which the node is attached.",
    "same_container": "The older spelling of `container_reuse_context`; give one of the two.",
}
NODE_INTRODUCTION = """# Parameters of nodes and images

Every parameter is a keyword of `co.Serial(...)`, `co.Parallel(...)` and
`co.Exec("command", ...)`, and an attribute that can be set later; `node.set(cpu=2, mem=4)` sets
several. The keywords of `co.Exec(function, ...)` are arguments of the function: pass parameters of
the node as `params=co.Params(cpu=2)`, or set them later. An unknown parameter is an error. Only an
Exec has `results`, the paths of nodes whose [results](../concepts/results.md#use-a-result) it uses.

"Inherited" is the value for nodes below that do not set the parameter: *nearest* is the value of
the nearest node above that has one. For the rules see
[the tree](../concepts/tree.md#parameters-and-inheritance)."""

CALLBACKS_HEAD = """# Callbacks

Pass a callback to one of the events of a node:

```python
import conducto as co

node = co.Exec("sh flaky.sh")
node.on_error(co.callback.retry(3))
```

| Method | When |
| --- | --- |
| `node.on_queued(callback)` | it is queued |
| `node.on_running(callback)` | it starts |
| `node.on_done(callback)` | it is done |
| `node.on_error(callback)` | it failed; retry callbacks are called for kills, too |
| `node.on_killed(callback)` | it was killed |
| `node.on_state_change(callback)` | all of these |

All callbacks have two more keywords, as in `retry(3, inherited=True)`, not in `on_error(...)`:
`inherited=True` applies the callback to every node below (retry callbacks to Execs only), and
`user_display=False` hides it in lists.

## Callbacks that handle failures

They are called before the parent sees the failure, the node's own before inherited ones; the first
that acts decides. No callback retries a node that a user killed, or an image that cannot be built.
See [time limits and retries](../concepts/time-limits-and-retries.md)."""

CALLBACKS_TELL = """## Callbacks that notify

The agent sends them, repeats them until they arrive, and never delays a command for them. For
addresses and tokens see [notifications](../concepts/notifications.md)."""

TOOLS = {
    "conducto-data-pipeline": "The pipeline's [data](../concepts/data.md), on the host and inside "
    "containers. Results are JSON, except that `gets` prints the data itself; `puts` reads "
    "stdin. `conducto-temp-data` is an older name.",
    "conducto-data-user": "The same for the user's data. `conducto-perm-data` is an older name.",
    "conducto-notebook": "Runs a notebook in a node, for `co.Notebook`. The image needs papermill.",
    "conducto-profile": "Lists, adds and deletes profiles.",
    "conducto-slack": "Sends messages to Slack, with the token of a bot in `SLACK_TOKEN`.",
}

CLI_HEAD = """# Command line

## A pipeline's own script

A script that ends in `co.main(...)` is a command line: `python pipeline.py [METHOD] [ARGUMENTS]
[FLAGS]`. A method that returns a node prints the tree; these flags launch it. Pass arguments of
the method by position or by name: `python pipeline.py build 3.8 --fast --name=x`. If a parameter of
the method has the name of a flag, `--run` sets the parameter and `--conducto.run` is the flag.
`conducto pipeline.py ...` does the same."""

CLI_NOTES = """The beginning of an ID is enough if it is unambiguous. A PATH can contain wildcards:
`*` and `?` within a name, `**` for any number of names; quote them. In the output of `--json`, keys
may be added later, but none changes or is removed.

Commands that delete, remove or revoke something ask on a terminal; `--yes` answers. Without a
terminal they need `--yes`, and end with exit code 2 without it."""
EXIT_CODES = """## Exit codes

All commands use the same codes, with three exceptions: `debug` and `livedebug` end with the exit
code of the shell, and `logs --search` with 1 if no line matches. `show`, and commands
with `--watch`, end with the code of the pipeline if they watched it to its end."""
CLI_OPTIONS = """Options before the command:"""
#: ``{constant of conducto.wire.limits: (target, limited quantity)}``
TREE_LIMITS = {
    "MAX_NODES": (
        "both",
        "Nodes of a pipeline, including those of [Lazy](../concepts/lazy.md) nodes",
    ),
    "MAX_LEVELS": ("both", "Levels below the root"),
    "MAX_NAME_BYTES": ("both", "Bytes of a name, in UTF-8"),
    "MAX_PATH_BYTES": ("local", "Bytes of a path, in UTF-8"),
    "MAX_CLOUD_PATH_BYTES": ("cloud", "Bytes of the path of an Exec, quoted for a URL"),
    "MAX_COMMAND_BYTES": ("local", "Bytes of a command, in UTF-8"),
    "MAX_CLOUD_COMMAND_BYTES": ("cloud", "Bytes of a command, in UTF-8"),
    "MAX_WORD_BYTES": ("both", "Bytes of an argument of a function, in its command"),
    "MAX_CLOUD_ITEMS": ("cloud", "Items of a map over a result"),
    "MAX_ENV_BYTES": ("both", "Bytes of an environment variable, including its name"),
}
LIMITS_HEAD = """# Limits

Larger trees are refused before anything runs, with the path of the node. This includes the trees of
Lazy nodes, and changes of a live pipeline. Resources of an Exec (cpu, mem, gpu) are limited by the
machine, and in the cloud by [its sizes and the plan](../concepts/cloud.md).

## The tree"""
LIMITS_REST = """## More limits

See [the API](../concepts/api.md#limits) for its limits, and
[debugging](../concepts/debugging.md#snapshots) for those of snapshots."""

HTTP_API_HEAD = """\
# HTTP API

All operations, below `/api/v1` of an agent or an installation. Their OpenAPI document,
`openapi.json` at the root of this site, has the schemas that are named here.
[The API](../concepts/api.md) explains authentication, errors and events."""
