"""Services on a real engine: Postgres and Redis beside commands, and services that fail."""

from __future__ import annotations

import pytest
import pytest_asyncio

import conducto as co
from conducto.errors import DefinitionError
from conducto_core.logs.model import MergedPageParams
from conducto_core.results.model import OutputParams
from conducto_core.run.model.states import Cause, State
from conducto_core.secrets.model import PutSecrets, SecretValue
from conducto_local.secrets.store import CHOICE
from support.containers import clean_runner, of_pipeline
from support.local import eventually, local_runner
from support.stand_ins import call, ensure

PASSWORD = "pw-4f9a/77+very=secret"
SMALL = {"cpu": 0.2, "mem": 0.1}
POSTGRES = co.Service(
    "postgres:16", env={"POSTGRES_PASSWORD": "x"}, ready="pg_isready", port=5432, cpu=0.5, mem=0.3
)
REDIS = co.Service("redis:7", port=6379, **SMALL)
PSQL = "PGPASSWORD=x psql -qtA -h $DB_HOST -p $DB_PORT -U postgres -c"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def local(tmp_path_factory):
    ensure(["postgres:16", "redis:7"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CHOICE, "file")
        async with clean_runner(tmp_path_factory.mktemp("services") / "home") as runner:
            yield runner


def nodes(**children):
    root = co.Serial(image="busybox", stop_on_error=False, **SMALL)
    for name, child in children.items():
        root[name] = child
    return root


async def services_of(run, path):
    query = OutputParams(id=run.id, path=path)
    return (await run.local.pipelines.attempt_output(query, "services"))[1].decode()


async def merged(run, path, **query):
    params = MergedPageParams(id=run.id, root=path, **query)
    return (await run.local.pipelines.read_output(params)).lines


async def outcome(run, path):
    (attempt,) = await run.attempts(path)
    return attempt.state, attempt.cause, attempt.message or ""


pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="module")]


async def test_commands_use_postgres_and_redis_beside_their_container(local):
    root = co.Serial(image="postgres:16", services={"db": POSTGRES, "queue": REDIS}, **SMALL)
    root["write"] = co.Exec(f"{PSQL} 'create table t as select 7 as x'")
    root["read"] = co.Exec(f"{PSQL} 'select x from t'; getent hosts db >/dev/null && echo named")
    root["fresh"] = co.Exec(
        f"{PSQL} \"select to_regclass('t') is null\"",
        container_reuse_context=co.ContainerReuseContext.NEW,
        services={"queue": None},
    )
    root["ping"] = co.Exec(
        'echo "${DB_HOST-none}"; redis-cli -h $QUEUE_HOST -p $QUEUE_PORT ping',
        image="redis:7",
        services={"db": None},
    )
    run = await local.run(root)
    assert (await run.summary()).state is State.DONE, await outcome(run, "/write")
    found = {path: await run.output(path) for path in ("/read", "/fresh", "/ping")}
    assert found == {"/read": b"7\nnamed\n", "/fresh": b"t\n", "/ping": b"none\nPONG\n"}
    assert "db | " in await services_of(run, "/write")
    assert "database system is ready" in await services_of(run, "/write")
    assert "queue | " not in await services_of(run, "/fresh")
    lines = await merged(run, "/write")
    assert ("db", "services") in {(line.service, line.stream) for line in lines}
    assert any("ready to accept connections" in line.text for line in lines)
    assert [line.time for line in lines] == sorted(line.time for line in lines)
    assert await merged(run, "/write", services=False) == ()


async def test_services_that_cannot_become_ready_fail_the_command_with_their_output(local):
    silent = co.Service("busybox", command=["sleep", "99"], ready_timeout=1, port=99, **SMALL)
    failing = co.Service(
        "busybox",
        command=["sh", "-c", "echo started $PASSWORD; sleep 99"],
        ready="echo not yet; exit 1",
        ready_timeout=1,
        **SMALL,
        secrets=["PASSWORD"],
    )
    secret = SecretValue(scope="user", key="PASSWORD", value=PASSWORD)
    await local.pipelines.put_secrets(PutSecrets(secrets=[secret]))
    run = await local.run(
        nodes(
            program=co.Exec("true", services={"a": co.Service("busybox", command=["nothing"])}),
            image=co.Exec("true", services={"a": co.Service("conducto-test/none:1")}),
            ended=co.Exec("true", services={"a": co.Service("postgres:16", port=5432)}),
            silent=co.Exec("true", services={"a": silent}),
            failing=co.Exec("true", services={"a": failing}),
            secret=co.Exec("true", services={"a": co.Service("busybox", secrets=["NONE"])}),
        )
    )
    expected = {
        "/program": ["service 'a' (busybox) cannot start", "nothing"],
        "/image": ["cannot start", "conducto-test/none:1"],
        "/ended": ["ended with exit code 1", "superuser password is not specified"],
        "/silent": ["not ready within 1 s: nothing listens on port 99", "has printed nothing"],
        "/failing": ["did not end with exit code 0 (not yet)", "\na | started ****"],
        "/secret": ["there is no secret NONE"],
    }
    for path, texts in expected.items():
        state, cause, message = await outcome(run, path)
        assert (state, cause) == (State.ERROR, Cause.SERVICE), (path, message)
        assert [text for text in texts if text not in message] == [], message
    kept = [p for p in local.home.pipeline(run.id).data.parent.rglob("*") if p.is_file()]
    assert not [path for path in kept if PASSWORD.encode() in path.read_bytes()]
    assert PASSWORD not in (await outcome(run, "/failing"))[2]


async def test_a_service_that_dies_fails_the_running_command(local):
    dying = co.Service("busybox", command=["sh", "-c", "echo alive; sleep 60"], **SMALL)
    root = nodes(a=co.Exec("echo begun; sleep 60", services={"db": dying}), b=co.Exec("echo b"))
    run = await local.launch(root)
    await run.printed("/a", b"begun")
    (name,) = [each for each in of_pipeline(run) if each.endswith("_db")]
    call("POST", f"/containers/{name}/kill")
    await run.settled()
    state, cause, message = await outcome(run, "/a")
    assert (state, cause) == (State.ERROR, Cause.SERVICE)
    assert "service 'db' (busybox) ended" in message
    assert "alive" in message
    assert await services_of(run, "/a") == "db | alive\n"
    assert await run.output("/b") == b"b\n"  # it has another container

    async def removed() -> bool:
        return not [each for each in of_pipeline(run) if each.endswith("_db")]

    await eventually(removed)


async def test_services_need_containers(tmp_path):
    async with local_runner(tmp_path / "home", "process") as runner:
        with pytest.raises(DefinitionError, match="--engine process does not have"):
            await runner.run(nodes(a=co.Exec("true", services={"db": REDIS})))
