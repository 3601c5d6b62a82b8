"""A pipeline that continues with a changed script, on real engines."""

import asyncio
from functools import partial

import pytest

import conducto as co
from conducto.errors import DefinitionError
from conducto.tree.launch_form import to_launch_form
from conducto_core.errors import RefusedError
from conducto_core.programs.model import ContinuationParams, ContinueRequest
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.records import NodeChange
from conducto_core.run.model.requests import Action, LaunchRequest
from conducto_core.run.model.states import NodeType, State
from conducto_core.secrets.model import DeleteSecrets, PutSecrets, SecretKey, SecretValue
from conducto_local.programs.continuation import Continuations
from conducto_local.store.port import WriteBatch
from support.containers import BUSYBOX as IMAGE
from support.local import act, local_runner

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCRIPT = "/home/user/pipeline.py"


def tree(**commands):
    root = co.Serial(image=IMAGE, cpu=0.2, mem=0.1)
    for name, command in commands.items():
        root[name] = co.Exec(command)
    return root


def request_for(root, /, *, program=SCRIPT, preview=False, fresh=False, keep_secrets=False, **more):
    launch = LaunchRequest(tree=to_launch_form(root), program=program, **more)
    return ContinueRequest(launch=launch, fresh=fresh, keep_secrets=keep_secrets, preview=preview)


async def continued(run, root, /, **options):
    request = request_for(root, **options)
    return await run.local.pipelines.continue_pipeline(PipelineParams(id=run.id), request)


def told(plan):
    return {each.path: each.reason or each.fate.value for each in plan.nodes}


async def test_unchanged_nodes_stay_done_with_the_data_and_the_history(local):
    """On plain processes, which have no image digests, every node runs again."""
    run = await local.run(tree(build="echo built", test="exit 1", old="true"), program=SCRIPT)
    (run.data / "model").write_text("kept")
    changed = tree(build="echo built", test="echo fixed", report="echo report")

    preview = await continued(run, changed, preview=True)
    assert await run.states() == {
        "/": "error",
        "/build": "done",
        "/test": "error",
        "/old": "pending",
    }
    made = await continued(run, changed, run=True, title="second")
    settled = await run.settled()

    kept = local.engine == "docker"
    assert told(made) == told(preview)
    assert told(made) == {
        "/build": "kept" if kept else "its image has no digest",
        "/test": "command changed" if kept else "its image has no digest",
        "/report": "new",
    }
    assert made.removed == ("/old",)
    assert settled.pipeline.title == "second"
    assert await run.states() == dict.fromkeys(["/", "/build", "/test", "/report"], "done")
    query = ContinuationParams(id=run.id, path="/build")
    latest = await run.local.pipelines.get_continuation(query)
    assert [told(made)["/build"]] == [each.reason or each.fate.value for each in latest.nodes]
    assert latest.removed == 1
    assert [a.number for a in await run.attempts("/build")] == ([1] if kept else [1, 2])
    assert [a.number for a in await run.attempts("/test")] == [1, 2]
    assert (run.data / "model").read_text() == "kept"


async def test_period_of_a_group_is_that_of_the_nodes_in_the_new_tree(local):
    if local.engine != "process":
        pytest.skip("the period does not depend on the engine")

    def group(*names):
        root = co.Parallel(image=IMAGE, cpu=0.2, mem=0.1)
        root["g"] = co.Serial()
        for name in names:
            root["g"][name] = co.Exec("true")
        return root

    run = await local.run(group("a", "old"), program=SCRIPT)
    await continued(run, group("a", "new"), run=True)
    await run.settled()

    group_time = await run.node("/g")
    attempts = [(await run.attempts(path))[-1] for path in ("/g/a", "/g/new")]
    assert group_time.started == min(each.queued for each in attempts)


async def test_equal_tree_keeps_everything_unless_a_secret_or_the_user_says_otherwise(local):
    if local.engine != "docker":
        pytest.skip("plain processes have no image digests")
    run = await local.run(tree(a="true", b="true"), program=SCRIPT)
    key = SecretKey(key="CONTINUED")

    assert told(await continued(run, tree(a="true", b="true"))) == {"/a": "kept", "/b": "kept"}
    await local.pipelines.put_secrets(PutSecrets(secrets=(SecretValue(key=key.key, value="xyz1"),)))
    secret = await continued(run, tree(a="true", b="true"), preview=True)
    keeping = await continued(run, tree(a="true", b="true"), preview=True, keep_secrets=True)
    await local.pipelines.delete_secrets(DeleteSecrets(keys=(key,)))
    fresh = await continued(run, tree(a="true", b="true"), fresh=True)

    assert set(told(secret).values()) == {"secrets changed: CONTINUED"}
    assert told(keeping) == {"/a": "kept", "/b": "kept"}
    assert told(fresh) == {"/a": "--fresh", "/b": "--fresh"}
    assert await run.states() == {"/": "pending", "/a": "pending", "/b": "pending"}


async def test_continuation_is_refused_while_running_archived_or_from_another_script(local):
    run = await local.launch(tree(a="sleep 60"), program=SCRIPT)
    await run.until("/a", "running")

    with pytest.raises(RefusedError, match=r"commands run.*conducto cancel"):
        await continued(run, tree(a="true"))
    await run.control(Action.PAUSE)
    await run.control(Action.KILL, "/")
    await run.settled()
    with pytest.raises(RefusedError, match=r"was launched by /home/user/pipeline.py, not by /x.py"):
        await continued(run, tree(a="true"), program="/x.py")
    with pytest.raises(DefinitionError, match="/a: "):
        await continued(run, tree(a=""))
    await run.control(Action.ARCHIVE)
    with pytest.raises(RefusedError, match="is archived; wake it first"):
        await continued(run, tree(a="true"))
    assert await run.states() == {"/": "error", "/a": "killed"}


async def test_continued_pipeline_survives_a_restart_of_the_agent(tmp_path):
    async with local_runner(tmp_path, "process") as runner:
        run = await runner.run(tree(a="true", b="true"), program=SCRIPT)
        await act(run, "modify", "/b", command="exit 1")
        await continued(run, tree(a="true", b="echo two", c="true"))
    async with local_runner(tmp_path, "process") as runner:
        run.local = runner
        assert await run.states() == dict.fromkeys(["/", "/a", "/b", "/c"], "pending")
        await run.control(Action.RUN)
        settled = await run.settled()

        assert settled.counts.done == 3
        assert await run.output("/b") == b"two\n"
        assert [attempt.number for attempt in await run.attempts("/b")] == [1, 2]


async def test_changed_code_in_the_image_runs_its_commands(local, tmp_path):
    if local.engine != "docker":
        pytest.skip("plain processes have no image digests")
    (tmp_path / "code.txt").write_text("one")

    def script():
        root = tree(a="cat code.txt")
        root.image = co.Image(IMAGE, name="code", copy_dir=str(tmp_path))
        return root

    run = await local.run(script(), program=SCRIPT)
    assert told(await continued(run, script(), preview=True)) == {"/a": "kept"}

    (tmp_path / "code.txt").write_text("two")

    plan = await continued(run, script(), preview=True)
    assert told(plan) == {"/a": "code changed: code.txt"}
    await continued(run, script(), run=True)
    await run.settled()
    assert await run.output("/a") == b"two"
    assert told(await continued(run, script(), preview=True)) == {"/a": "kept"}


class InterruptedStore:
    """A store during whose reads, in another thread, an action is executed."""

    def __init__(self, store, action):
        self._store = store
        self._action = action
        self._loop = asyncio.get_running_loop()

    def newest_attempts(self, pipeline_id):
        asyncio.run_coroutine_threadsafe(self._action(), self._loop).result(20)
        return self._store.newest_attempts(pipeline_id)

    def __getattr__(self, name):
        return getattr(self._store, name)


async def test_continuation_that_is_refused_late_keeps_the_idle_containers(tmp_path):
    async with local_runner(tmp_path, "process") as runner:
        run = await runner.run(tree(a="true", b="true"), program=SCRIPT)
        await run.control(Action.PAUSE)
        scheduler = runner.pipelines._scheduler
        store = InterruptedStore(runner.pipelines._store, partial(run.control, Action.RESET, "/b"))
        idle = scheduler.containers.pool_workers(run.id).idle

        with pytest.raises(RefusedError, match="has changed since the plan was made"):
            await Continuations(store, scheduler, runner.home).execute(
                runner.pipelines.live(run.id), request_for(tree(a="exit 1"))
            )

        assert idle > 0
        assert scheduler.containers.pool_workers(run.id).idle == idle


async def test_files_for_a_repair_have_the_stored_definition(tmp_path):
    async with local_runner(tmp_path, "process") as runner:
        run = await runner.launch(tree(a="true"), run=False, program=SCRIPT)
        store, file = runner.pipelines._store, runner.home.pipeline(run.id).definition
        first = file.read_bytes()

        await continued(run, tree(a="false"))
        second = file.read_bytes()
        change = NodeChange(
            seq=runner.pipelines.live(run.id).seq + 1,
            time=0.0,
            path="/a",
            type=NodeType.EXEC,
            state=State.DONE,
        )
        store.save(run.id, WriteBatch(changes=[change]))  # the next replacement is not stored
        await continued(run, tree(a="exit 3"))

        assert first != second == store.definition(run.id)
        assert file.read_bytes() == second
