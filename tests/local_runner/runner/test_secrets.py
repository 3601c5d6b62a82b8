"""Secrets on real engines: they reach every command, and nothing that is kept of it shows them."""

import asyncio
import base64
import logging
from contextlib import suppress
from pathlib import Path

import pytest

import conducto as co
from conducto.tree.launch_form import to_launch_form
from conducto_core.approvals.rules import Decider
from conducto_core.command.output import CLOSE, OPEN
from conducto_core.errors import RefusedError
from conducto_core.people.model import Role
from conducto_core.results.model import OutputParams
from conducto_core.run.model.requests import Action
from conducto_core.run.model.states import Cause, State
from conducto_core.secrets.model import DeleteSecrets, PutSecrets, SecretKey, SecretValue
from conducto_local.approvals.handlers import DECIDER
from conducto_local.secrets.store import CHOICE, VALUES
from support.local import Local, local_runner
from support.stand_ins import ensure

ENGINES = ["process", pytest.param("docker", marks=pytest.mark.docker)]
TOKEN = "tok-4f9a/77+very=secret"
KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\n-----END KEY-----"


@pytest.fixture(params=ENGINES)
async def local(request, tmp_path, monkeypatch):
    monkeypatch.setenv(CHOICE, "file")
    if request.param == "docker":
        ensure(["busybox:latest"])
    async with local_runner(tmp_path / "home", request.param) as runner:
        yield runner


async def put(local, scope="user", *, mask=True, **values):
    secrets = [SecretValue(scope=scope, key=k, value=v, mask=mask) for k, v in values.items()]
    return await local.pipelines.put_secrets(PutSecrets(secrets=secrets))


def tree(command, **parameters):
    root = co.Serial(image="busybox", **parameters)
    root["a"] = co.Exec(command)
    return root


def files_with(text: str, directory: Path) -> list[Path]:
    """Return the files, data of pipelines included, that hold a text in plain."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    return [path for path in files if text.encode() in path.read_bytes()]


async def test_secrets_are_masked_in_results_metrics_and_artifacts(local):
    await put(local, TOKEN=TOKEN)
    write = """cd "$CONDUCTO_RUN_DIR"; printf '{"%s": ["x %s"]}' "$TOKEN" "$TOKEN" >result
    printf '{"name": "%s", "title": "%s"}' a "$TOKEN" >artifacts"""
    root = tree(write)
    root["b"] = co.Exec(
        'cat "$CONDUCTO_RUN_DIR/inputs"; cat "$CONDUCTO_RUN_DIR/result"', results=["/a"]
    )

    run = await local.run(root)

    assert await run.output("/b") == b'{"/a":{"********":["x ********"]}}'
    query = OutputParams(id=run.id, path="/a")
    (_, artifacts) = await local.pipelines.attempt_output(query, "artifacts")
    assert b'"title":"********"' in artifacts
    assert files_with(TOKEN, local.home.pipeline(run.id).root) == []


async def test_a_secret_is_a_variable_and_masked_in_both_streams(local):
    await put(local, TOKEN=TOKEN)

    run = await local.run(
        tree('echo "out $TOKEN"; echo "err $TOKEN" >&2; printf %s "$TOKEN" | wc -c')
    )

    assert await run.output("/a") == b"out ********\n23\n"
    assert await run.output("/a", "stderr") == b"err ********\n"


async def test_commands_get_the_address_of_slack_hidden_like_a_secret(local, tmp_path, monkeypatch):
    monkeypatch.setenv("CONDUCTO_BASE_DIR", str(tmp_path / "home"))
    address = "https://me:hunter2@slack.example/api"
    config = tmp_path / "home" / "test" / "config"
    config.write_text(f"[notifications]\nslack_url = {address}\n")

    run = await local.run(
        tree('echo "$CONDUCTO_SLACK_URL"; printf "%s" "$CONDUCTO_SLACK_URL" | wc -c')
    )

    assert await run.output("/a") == b"********\n36\n"


async def test_secret_is_masked_if_it_is_printed_in_chunks(local):
    await put(local, TOKEN=TOKEN)
    slowly = 'for c in $(echo "$TOKEN" | sed "s/./& /g"); do printf %s "$c"; sleep 0.01; done'

    run = await local.run(tree(f'{slowly}; echo " end"'))

    assert await run.output("/a") == b"******** end\n"


async def test_a_secret_is_masked_in_base64_and_in_lines(local):
    await put(local, TOKEN=TOKEN, KEY=KEY)

    run = await local.run(
        tree('printf "user:%s" "$TOKEN" | base64; echo "$KEY" | sed -n 2p; echo "$KEY"')
    )

    out = await run.output("/a")
    assert out.endswith(b"\n********\n********\n")
    assert b"MIIE" not in out
    first = base64.b64decode(out.partition(b"********")[0] + b"====")
    assert first.startswith(b"user")
    assert b"tok" not in first


async def test_held_back_output_is_shown_at_the_end(local):
    await put(local, TOKEN=TOKEN)

    run = await local.run(tree(f"printf {TOKEN[:9]}"))

    assert await run.output("/a") == TOKEN[:9].encode()


async def test_secrets_override_the_environment_and_conducto_variables_override_secrets(local):
    await put(local, "org", A="of-the-org", B="of-the-org")
    await put(local, "user", B="of-the-user", mask=False)
    env = {"A": "of-the-node", "C": "of-the-node", "CONDUCTO_NODE": "of-the-node"}

    run = await local.run(tree('echo "$A" | sed s/org/ORG/; echo "$B,$C,$CONDUCTO_NODE"', env=env))

    assert await run.output("/a") == b"of-the-ORG\nof-the-user,of-the-node,/a\n"


async def test_a_secret_that_is_not_to_be_masked_is_shown(local):
    await put(local, TOKEN=TOKEN, mask=False)

    run = await local.run(tree('echo "$TOKEN"'))

    assert await run.output("/a") == TOKEN.encode() + b"\n"


async def test_a_change_is_seen_by_the_next_command_in_the_same_container(local):
    await put(local, TOKEN="the-first-one", OTHER="stays-as-it-is")
    run = await local.run(tree('echo "${TOKEN-none}" | sed s/the-/THE-/'))
    await put(local, TOKEN="the-second-one")
    await run.control(Action.RESET, "/a")
    await run.settled()

    await local.pipelines.delete_secrets(DeleteSecrets(keys=[SecretKey(key="TOKEN")]))
    await run.control(Action.RESET, "/a")
    await run.settled()

    outputs = [await run.output("/a", attempt=n) for n in (1, 2, 3)]
    assert outputs == [b"THE-first-one\n", b"THE-second-one\n", b"none\n"]


async def test_an_attempt_keeps_no_value(local):
    await put(local, TOKEN=TOKEN)

    run = await local.run(
        tree(f"echo {TOKEN} >/dev/null; exit 3", env={"TOKEN": "x", "B": f"b:{TOKEN}"})
    )

    (attempt,) = await run.attempts("/a")
    assert attempt.command == "echo ******** >/dev/null; exit 3"
    assert attempt.env == {"TOKEN": "x", "B": "b:********"}


async def test_a_lazy_prints_its_tree_and_hides_the_rest(local):
    await put(local, TOKEN=TOKEN)
    inner = co.Exec('echo "inside $TOKEN"').serialize()
    block = f"{OPEN.decode()}{inner}{CLOSE.decode()}"
    lazy = co.Lazy(f'echo "$TOKEN"; echo "{block}"; echo "$TOKEN"')
    root = co.Serial(image="busybox")
    root["l"] = lazy

    run = await local.run(root)

    assert await run.output("/l/Generate") == b"********\n\n********\n"
    assert await run.output("/l/Execute/exec") == b"inside ********\n"


async def test_a_message_on_a_failure_keeps_no_value(local):
    await put(local, TOKEN=TOKEN)
    form = f"{OPEN.decode()}{TOKEN}{CLOSE.decode()}"
    root = co.Serial(image="busybox")
    root["l"] = co.Lazy(f"echo '{form}'")

    run = await local.run(root)

    (attempt,) = await run.attempts("/l/Generate")
    assert attempt.cause is Cause.LAZY
    assert TOKEN not in attempt.model_dump_json()


async def test_files_of_conducto_contain_no_value(local, caplog):
    caplog.set_level(logging.DEBUG)
    await put(local, TOKEN=TOKEN)

    await local.run(tree('echo "$TOKEN"; echo "$TOKEN" >&2; exit 1'))

    assert files_with(TOKEN, local.home.base) == []
    assert TOKEN not in caplog.text


async def test_no_command_line_shows_a_value(local):
    await put(local, TOKEN=TOKEN)
    run = await local.launch(tree("sleep 20"))
    await run.until("/a", "running")
    await asyncio.sleep(0.3)

    lines = _command_lines()
    await run.control(Action.KILL, "/")
    await run.settled()

    assert any(b"sleep" in line for line in lines)
    assert not any(TOKEN.encode() in line for line in lines)


def _command_lines() -> list[bytes]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it may have ended
            found.append(path.read_bytes())
    return found


async def test_secrets_that_cannot_be_read_fail_the_command_and_say_why(local):
    await put(local, TOKEN=TOKEN)
    (local.home.root / "secrets" / VALUES).write_bytes(b"broken")

    run = await local.run(tree("true"))

    (attempt,) = await run.attempts("/a")
    assert attempt.state is State.ERROR
    assert "cannot be decrypted" in attempt.message


async def test_a_secret_that_is_not_allowed_is_refused(local):
    with pytest.raises(RefusedError, match="'CONDUCTO_URL' cannot be the name of a secret"):
        await put(local, GOOD="x", CONDUCTO_URL="http://elsewhere")

    assert (await local.pipelines.list_secrets()).secrets == ()


async def test_a_reference_is_not_set_through_the_link(local: Local) -> None:
    secret = SecretValue(key="REMOTE", value="", reference="ssm:/a")
    token = DECIDER.set(Decider("ada@example.com", Role.OWNER))  # as the link does

    with pytest.raises(RefusedError, match="are set on the machine itself"):
        await local.pipelines.put_secrets(PutSecrets(secrets=(secret,)))

    DECIDER.reset(token)
    assert "REMOTE" not in {one.key for one in (await local.pipelines.list_secrets()).secrets}


async def test_a_launch_chooses_a_set_of_secrets(local):
    await put(local, DB="plain-value", KEY="shared-value")
    secret = SecretValue(key="DB", value="prod-value", secret_set="prod", scope="org")
    await local.pipelines.put_secrets(PutSecrets(secrets=(secret,)))
    command = 'test "$DB" = {} && test "$KEY" = shared-value && echo "$DB" plain-value'

    plain = await local.run(tree(command.format("plain-value")))
    form = {**to_launch_form(tree(command.format("prod-value"))), "secret_set": "prod"}
    chosen = await local.run(form)

    for run in (plain, chosen):
        (attempt,) = await run.attempts("/a")
        assert attempt.state is State.DONE
        assert await run.output("/a") == b"******** ********\n"
    with pytest.raises(RefusedError, match="no secrets in the set 'prdo'; did you mean 'prod'"):
        await local.launch({**form, "secret_set": "prdo"})
