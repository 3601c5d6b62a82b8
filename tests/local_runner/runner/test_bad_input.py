"""Mistakes of users and programs, and faults of the machine, on real engines.

Each ends in a clear error or a correct state: nothing hangs, nothing is lost, nothing is left.
Mistakes in a script before it is launched are in ``tests/sdk``; trees that a Lazy should
not print are in ``test_running.py``.
"""

import pytest

import conducto as co
from conducto.errors import DefinitionError
from conducto.tree.launch_form import to_launch_form
from conducto.wire.limits import MAX_NAME_BYTES
from conducto_core.run.model.params import ListParams, LogParams
from conducto_core.run.model.requests import Action
from conducto_core.run.model.states import Cause, State
from support.containers import BUSYBOX as IMAGE
from support.containers import clean_runner
from support.local import local_runner

ENGINES = ["process", pytest.param("docker", marks=pytest.mark.docker)]


@pytest.fixture(params=ENGINES)
async def local(request, tmp_path):
    if request.param == "docker":
        async with clean_runner(tmp_path / "home") as runner:
            yield runner
    else:
        async with local_runner(tmp_path / "home", "process") as runner:
            yield runner


@pytest.fixture
async def processes(tmp_path):
    async with local_runner(tmp_path / "home", "process") as runner:
        yield runner


def nodes(kind=co.Serial, **children):
    root = kind(image=IMAGE, cpu=0.2, mem=0.1)
    for name, child in children.items():
        root[name] = co.Exec(child) if isinstance(child, str) else child
    return root


# Trees from programs that do not use the author API: the same errors, and nothing is kept.


def form(**changes):
    """A launch form whose child ``/a`` has these values, as any program could send it."""
    made = to_launch_form(nodes(a="true", b="true"))
    made["nodes"][1].update(changes)
    return made


def form_with(edit):
    made = form()
    edit(made)
    return made


def twice_named(made):
    made["edges"][1][2] = "a"


def slash_named(made):
    made["edges"][0][2] = "a/b"


def half_named(made):
    made["edges"][0][2] = "a\ud800b"


def with_two_parents(made):
    root, child, _ = made["edges"][0]
    made["nodes"].append({"id": "new", "type": "Serial"})
    made["edges"] += [[root, "new", "c"], ["new", child, "again"]]


def in_a_circle(made):
    first, second = ({"id": name, "type": "Serial"} for name in ("one", "two"))
    made["nodes"] += [first, second]
    made["edges"] += [["one", "two", "x"], ["two", "one", "y"]]


def below_an_exec(made):
    made["nodes"].append({"id": "new", "type": "Exec", "command": "true"})
    made["edges"].append([made["edges"][0][1], "new", "x"])


WRONG_TREES = [
    (form(cpu=0), r"^/a: cpu must be above 0, got 0"),
    (form(cpu=-1), r"^/a: cpu must be above 0, got -1"),
    (form(mem=-0.5), r"^/a: mem must be above 0, got -0.5"),
    (form(max_time=0), r"^/a: max_time must be above 0, got 0"),
    (form(max_time=-3), r"^/a: max_time must be above 0, got -3"),
    (form(max_time="soon"), r"^/a: max_time is an invalid duration: 'soon'"),
    (form(gpu=17), r"^/a: gpu must be"),
    (form(gpu=9), r"^/a: gpu=9 can never fit: this machine has \d+ GPUs; lower gpu"),
    (form(machine="GPU"), r"^/a: machine must be the name"),
    (form(mem="much"), r"^/a: mem must be a number above 0, or 'auto'"),
    (form(budget=0), r"^/a: budget must be above 0"),
    (form(budget=-1), r"^/a: budget must be above 0"),
    (form(budget=float("nan")), r"^/a: budget must be a finite number"),
    (form(image_name="none"), r"^/a: image_name='none' names no image of this tree"),
    (form(command="a\0b"), r"^/a: command holds a NUL"),
    (form(command="echo \ud800"), r"^/a: command holds '\\ud800', which is not a character"),
    (form(__env__A="\udcff"), r"^/a: env value of A holds '\\udcff'"),
    (form(doc="\ud800"), r"^/a: doc holds '\\ud800'"),
    (form(tags=["\ud800"]), r"^/a: tag holds '\\ud800'"),
    (form_with(half_named), r"^/: a child's name holds '\\ud800'"),
    (form(command=3), r"^/a: command"),
    (form(type="Loop"), r"unknown node type 'Loop'"),
    (form(docker_run_args=["--memory=1g"]), r"^/a: .*--memory"),
    (form(__env__A="\0"), r"^/a: env value of A holds a NUL"),
    (form(container_reuse_context="old"), r"^/a: container_reuse_context"),
    (form_with(twice_named), r"^/: two children are called 'a'"),
    (form_with(slash_named), r"^/: a child's name may not be empty or hold '/'"),
    (form_with(with_two_parents), r"parent"),
    (form_with(in_a_circle), r"^the tree has nodes that its root does not reach"),
    (form_with(below_an_exec), r"^/a: an Exec cannot have children"),
    (form(callbacks=[["error", ["retry", 3]]]), r"^/a: a callback must be"),
    ({"nodes": [], "edges": [], "images": {}}, r"^not a serialised tree"),
    ({}, r"^not a serialised tree: KeyError\('nodes'\)"),
    ({"nodes": "x", "edges": 3}, r"^not a serialised tree"),
    ({**form(), "images": [3]}, r"^images must be {name: definition}, got \[3\]"),
]


@pytest.mark.parametrize(("tree", "message"), WRONG_TREES, ids=[m[:40] for _, m in WRONG_TREES])
async def test_a_wrong_tree_is_refused_with_its_node_and_nothing_is_kept(processes, tree, message):
    with pytest.raises(DefinitionError, match=message):
        await processes.launch(tree)
    assert (await processes.pipelines.list_pipelines(ListParams())).pipelines == ()


@pytest.mark.parametrize(
    "image",
    [
        3,
        None,
        {},
        {"image": 3},
        {"image": "a", "dockerfile": "b"},
        {"image": "a", "copy_dir": 3},
        {"image": "a", "install_pip": "numpy"},
        {"image": "a", "path_map": [1]},
    ],
    ids=str,
)
async def test_an_image_of_the_wrong_type_is_refused_with_its_name(processes, image):
    tree = form()
    (name,) = tree["images"]
    tree["images"][name] = image

    with pytest.raises(DefinitionError, match=name):
        await processes.launch(tree)
    assert (await processes.pipelines.list_pipelines(ListParams())).pipelines == ()


async def test_unknown_parameters_from_a_newer_client_are_ignored(processes):
    run = await processes.run(form(from_the_future=[1]))

    assert (await run.summary()).state is State.DONE


# Commands that behave badly.

COMMANDS = {
    "closes its stdout": ("echo a; exec >&- 2>&-; sleep 0.1; exit 5", 5, b"a\n"),
    "forks into the background": ("sleep 60 & (sleep 60; echo late) & echo a; exit 6", 6, b"a\n"),
    "ends itself": ("echo a; kill -KILL $$; sleep 60", 137, b"a\n"),
    "has no end of line": ("printf '%s' abc; exit 3", 3, b"abc"),
    "reads its stdin": ("cat; echo end; exit 4", 4, b"end\n"),
    "is not text": (r"printf '\000\001\376\377'; exit 2", 2, b"\0\1\xfe\xff"),
}


@pytest.mark.parametrize("case", COMMANDS.values(), ids=COMMANDS.keys())
async def test_a_command_ends_with_its_code_and_the_next_one_runs(local, case):
    command, code, output = case
    root = nodes(a=command, b="echo next")
    root.stop_on_error = False

    run = await local.run(root)

    (attempt,) = await run.attempts("/a")
    assert (attempt.exit_code, await run.output("/a")) == (code, output)
    assert await run.output("/b") == b"next\n"


@pytest.mark.docker
@pytest.mark.parametrize("signal", ["KILL", "TERM", "HUP"])
async def test_a_command_that_kills_its_parent_is_not_lost(tmp_path, signal):
    async with clean_runner(tmp_path / "home") as local:
        run = await local.run(nodes(a=f"kill -{signal} $PPID; echo on; exit 4", b="true"))

        (attempt,) = await run.attempts("/a")
        assert (attempt.cause, attempt.exit_code) == (Cause.EXIT_CODE, 4)
        assert await run.output("/a") == b"on\n"


@pytest.mark.docker
async def test_a_command_that_ignores_term_is_killed_at_its_time(tmp_path):
    ignoring = co.Exec("trap '' TERM; while :; do sleep 1; done", max_time=0.3)
    async with clean_runner(tmp_path / "home") as local:
        run = await local.run(nodes(a=ignoring))

        (attempt,) = await run.attempts("/a")
        assert (attempt.state, attempt.cause) == (State.KILLED, Cause.TIMEOUT)
        assert attempt.exit_code == 137


async def test_a_command_that_cleans_up_on_term_gets_the_time_for_it(local):
    polite = "trap 'echo cleaned; exit 9' TERM; echo up; while :; do sleep 0.1; done"
    run = await local.launch(nodes(a=polite))
    await run.printed("/a", b"up\n")

    await run.control(Action.KILL, "/a")
    await run.settled()

    (attempt,) = await run.attempts("/a")
    assert (attempt.state, attempt.cause) == (State.KILLED, Cause.KILLED_BY_USER)
    assert await run.output("/a") == b"up\ncleaned\n"


@pytest.mark.docker
async def test_a_hundred_megabytes_are_kept_to_the_last_byte(tmp_path):
    async with clean_runner(tmp_path / "home") as local:
        run = await local.run(nodes(a="yes 0123456 | head -c 100000000; echo; echo end"))

        log = await local.pipelines.read_log(LogParams(id=run.id, path="/a", offset=-9))
        assert log.size == 100_000_005
        assert (await run.attempts("/a"))[0].state is State.DONE
        assert log.complete


async def test_many_bytes_of_two_nodes_do_not_mix(local):
    root = nodes(
        co.Parallel,
        a="yes a | head -c 3000000; echo x >&2",
        b="yes b | head -c 3000000; echo y >&2",
    )

    run = await local.run(root)

    assert await run.output("/a") == b"a\n" * 1_500_000
    assert await run.output("/b") == b"b\n" * 1_500_000
    assert [await run.output(p, "stderr") for p in ("/a", "/b")] == [b"x\n", b"y\n"]


async def test_environment_that_linux_cannot_take_is_refused_at_launch(local):
    root = nodes(co.Parallel, a=co.Exec("true", env={"A": "x" * 300_000}), b="echo fine")

    with pytest.raises(DefinitionError, match=r"/a: env value of A is too long.* 300,002 bytes"):
        await local.run(root)


ODD_NAMES = ["a\nb", "..", ".", " ", "ü", "'\"$x`", "x" * MAX_NAME_BYTES, "-rf", "%2f", "*"]


async def test_odd_names_are_names(local):
    run = await local.run(nodes(co.Parallel, **dict.fromkeys(ODD_NAMES, "echo $CONDUCTO_NODE")))

    assert (await run.summary()).counts.done == len(ODD_NAMES)
    assert await run.output("/..") == b"/..\n"


HUGE = "head -c 70000000 /dev/zero | tr '\\0' A"
LAZY = {
    "huge": (f"echo '<__conducto_serialization>'; {HUGE}", Cause.LAZY, "an incomplete tree"),
    "huge and closed": (
        f"echo '<__conducto_serialization>'; {HUGE}; echo '</__conducto_serialization>'",
        Cause.LAZY,
        "a tree of over 64 MB",
    ),
    "failing": ("echo '<__conducto_serialization>'; exit 9", Cause.EXIT_CODE, None),
}


@pytest.mark.parametrize("case", LAZY.values(), ids=LAZY.keys())
async def test_lazy_with_an_invalid_tree_fails_and_runs_no_part_of_it(processes, case):
    command, cause, message = case
    root = co.Serial(image=IMAGE)
    root["lazy"] = co.lazy_shell(command)

    run = await processes.run(root)

    (attempt,) = await run.attempts("/lazy/Generate")
    assert attempt.cause is cause
    assert message is None or message in attempt.message
    assert (await run.states())["/lazy/Execute"] == "pending"
