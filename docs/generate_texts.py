"""What `generate` writes into the pages of the reference that the code does not say."""

_NEAREST = "nearest"
_HERE = "no"
#: ``{node parameter: how nodes below get it}``
INHERITANCE = {
    "callback_data": _HERE,
    "container_reuse_context": "[reachable nodes](../concepts/container-reuse.md)",
    "cpu": _NEAREST,
    "doc": _HERE,
    "docker_run_args": _NEAREST,
    "env": "merged, nearest wins",
    "file": _HERE,
    "gpu": _NEAREST,
    "image": _NEAREST,
    "image_name": _NEAREST,
    "line": _HERE,
    "max_concurrent": _HERE,
    "max_time": "nearest; also bounds the group it stands on",
    "mem": _NEAREST,
    "name": _HERE,
    "pipeline_reservation": _HERE,
    "requires_docker": _NEAREST,
    "retry_lost": _NEAREST,
    "same_container": "as `container_reuse_context`",
    "skip": "skips everything below",
    "snapshot_on_error": _NEAREST,
    "stop_on_error": _HERE,
    "suppress_errors": _HERE,
    "tags": _HERE,
    "title": _HERE,
}
#: Parameters that are no attributes, and so have no description in the code.
MEANINGS = {
    "name": "Name below the innermost open `with` block, to which the node is attached.",
    "same_container": "The older spelling of `container_reuse_context`; give one of the two.",
}
NODE_INTRODUCTION = """# Parameters of nodes and images

Every parameter is a keyword of `co.Serial(...)`, `co.Parallel(...)` and
`co.Exec("command", ...)`, and an attribute that can be set later; `node.set(cpu=2, mem=4)` sets
several. The keywords of `co.Exec(function, ...)` belong to the function: give its parameters as
`params=co.Params(cpu=2)`, or set them afterwards. An unknown parameter is an error.

"Inherited" says what a node below gets that sets nothing itself: *nearest* is the value of the
nearest node above that has one. For the rules see
[the tree](../concepts/tree.md#parameters-and-inheritance)."""

CALLBACKS_HEAD = """# Callbacks

A callback is given to one of a node's events:

```python
import conducto as co

node = co.Exec("sh flaky.sh")
node.on_error(co.callback.retry(3))
```

| Method | When |
| --- | --- |
| `node.on_queued(callback)` | it waits for room to start |
| `node.on_running(callback)` | it starts |
| `node.on_done(callback)` | it is done |
| `node.on_error(callback)` | it failed; callbacks that retry hear of kills here too |
| `node.on_killed(callback)` | it was killed |
| `node.on_state_change(callback)` | each of these |

All callbacks also take two keywords, as in `retry(3, inherited=True)`, not in `on_error(...)`:
`inherited=True` makes it hold for every node below
(callbacks that retry are inherited by Execs only), `user_display=False` leaves it out of lists
for people.

## Callbacks that decide about a failure

They are asked before the parent sees the failure. The first that acts decides, a node's own
before inherited ones. No callback retries what a person killed, or an image that cannot be built.
See [time limits and retries](../concepts/time-limits-and-retries.md)."""

CALLBACKS_TELL = """## Callbacks that tell somebody

Sent by the agent, tried again until they arrive, never in a command's way. Which addresses and
tokens they need: [notifications](../concepts/notifications.md)."""

TOOLS = {
    "conducto-data-pipeline": "The pipeline's [data](../concepts/data.md), on the host and inside "
    "containers. Results are JSON, but `gets` prints the data itself and `puts` reads it from "
    "stdin. `conducto-temp-data` is an older name.",
    "conducto-data-user": "The same for the user's data. `conducto-perm-data` is an older name.",
    "conducto-notebook": "Runs a notebook in a node; what `co.Notebook` calls. The image needs "
    "papermill.",
    "conducto-profile": "Profiles: separate homes with an agent each.",
    "conducto-slack": "Messages to Slack, by the bot whose token is in `SLACK_TOKEN`.",
}

CLI_HEAD = """# Command line

## A pipeline's own script

A script that ends in `co.main(...)` is a command line: `python pipeline.py [METHOD] [ARGUMENTS]
[FLAGS]`. A method that returns a node prints the tree; these flags launch it. Arguments of the
method are given by position or by name: `python pipeline.py build 3.8 --fast --name=x`.
`conducto pipeline.py ...` does the same."""

CLI_NOTES = """An ID may be shortened as long as it is unambiguous. A PATH may hold wildcards: `*`
and `?` within a name, `**` for any number of names; quote them. Where a command takes `--json`, a
key may be added later, but none changes or goes."""
EXIT_CODES = """## Exit codes

They are the same for every command, but for three: `debug` and `livedebug` end with the exit code
of the shell, and `logs --search` with 1 when no line holds the text. `show`, and whatever has
`--watch`, ends as the pipeline does when it has been watched to its end."""
CLI_OPTIONS = """Options before the command:"""
#: ``{constant of conducto.wire.limits: (where it holds, of what)}``
TREE_LIMITS = {
    "MAX_NODES": (
        "both",
        "Nodes of a pipeline, those that [Lazy](../concepts/lazy.md) nodes add included",
    ),
    "MAX_LEVELS": ("both", "Levels below the root"),
    "MAX_NAME_BYTES": ("both", "Bytes of a name, in UTF-8"),
    "MAX_PATH_BYTES": ("here", "Bytes of a path, in UTF-8"),
    "MAX_CLOUD_PATH_BYTES": ("cloud", "Bytes of the path of an Exec, quoted for a URL"),
    "MAX_COMMAND_BYTES": ("here", "Bytes of a command, in UTF-8"),
    "MAX_CLOUD_COMMAND_BYTES": ("cloud", "Bytes of a command, in UTF-8"),
    "MAX_ENV_BYTES": ("both", "Bytes of an environment variable, its name included"),
}
LIMITS_HEAD = """# Limits

What is larger is refused before anything runs, with the path of the node; a tree that a Lazy
prints, and a change of a live pipeline, too. Resources of an Exec (cpu, mem, gpu) are bound by the
machine, and in the cloud by [its sizes and the plan](../concepts/cloud.md).

## The tree"""
LIMITS_REST = """## Elsewhere

The limits of the API stand in [the API](../concepts/api.md#limits), those of kept container states
in [debugging](../concepts/debugging.md)."""
