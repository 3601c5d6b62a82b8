"""Callbacks that tell somebody: sent once, tried again, never in a command's way."""

import asyncio
import threading
from contextlib import asynccontextmanager

import pytest

import conducto as co
from conducto.integrations.http import DeliveryError
from conducto_core.notifications.channels import Settings, deliver
from conducto_core.notifications.messages import TRIES
from conducto_core.notifications.model import DeliveryState
from conducto_core.run.model.states import State
from conducto_core.secrets.model import PutSecrets, SecretValue
from conducto_local.agent.runner import open_parts
from conducto_local.agent.state_dir import StateDir
from conducto_local.notifications.outbox import Channels
from support.containers import BUSYBOX as IMAGE
from support.disks import fill, small_disk
from support.local import Local, eventually
from support.services import web_service


class Channel:
    """Takes every notification, unless the test says otherwise.

    Attributes:
        taken: ``(path, state)`` in the order they came.
        failures: Errors of the next tries.
        open: While it is not set, a try does not return.
    """

    def __init__(self, *failures):
        self.taken = []
        self.failures = list(failures)
        self.open = threading.Event()
        self.open.set()
        self.started = threading.Event()

    def send(self, _pipeline_id, notification, _settings, _secrets):
        self.started.set()
        self.open.wait(20)
        if self.failures:
            raise self.failures.pop(0)
        self.taken.append((notification.path, str(notification.state)))


@asynccontextmanager
async def runner(base, **channels):
    home = StateDir(base, "test")
    async with open_parts(home, channels=Channels(**channels)) as opened:
        yield Local(opened.pipelines, home, "process")


def tree(command="true", event="on_done", callback=None):
    root = co.Serial(image=IMAGE)
    root["a"] = co.Exec(command)
    getattr(root["a"], event)(callback or co.callback.slack_status("#ops", message="Hi"))
    return root


async def new_notifications(run, path="/a"):
    return (await run.node(path)).notifications


async def delivered(run, state=DeliveryState.SENT):
    async def there():
        return [each.delivery for each in await new_notifications(run)] == [state]

    await eventually(there)
    return (await new_notifications(run))[0]


TEMPORARY = DeliveryError("not now", temporary=True)


async def test_a_callback_is_sent_and_shows_in_its_node(tmp_path):
    channel = Channel()
    async with runner(tmp_path, send=channel.send) as local:
        run = await local.run(tree())
        notification = await delivered(run)

    assert channel.taken == [("/a", "done")]
    assert (notification.state, notification.tries, notification.error) == (State.DONE, 1, None)
    assert notification.text.splitlines()[0] == "Hi"
    assert notification.ended is not None


async def test_every_change_is_notified_in_order(tmp_path):
    channel = Channel(TEMPORARY)
    async with runner(tmp_path, send=channel.send, sleep=at_once) as local:
        run = await local.run(tree("exit 3", "on_state_change"))

        async def all_told():
            return len(channel.taken) == 3

        await eventually(all_told)
        texts = [each.text for each in await new_notifications(run)]

    assert channel.taken == [("/a", "queued"), ("/a", "running"), ("/a", "error")]
    assert "/a is error (exit code)" in texts[-1]


async def at_once(_seconds):
    await asyncio.sleep(0)


async def test_summary_counts_descendants(tmp_path):
    channel = Channel()
    root = co.Parallel(image=IMAGE)
    root["a"], root["b"] = co.Exec("true"), co.Exec("exit 1")
    root.on_error(co.callback.slack_status("#ops", node_summary=True))
    async with runner(tmp_path, send=channel.send) as local:
        run = await local.run(root)
        (notification,) = await new_notifications(run, "/")

    assert "1 done, 1 error" in notification.text


async def test_temporary_failures_are_retried_after_growing_pauses(tmp_path):
    channel, pauses = Channel(TEMPORARY, TEMPORARY, TEMPORARY), []

    async def sleep(seconds):
        pauses.append(seconds)
        await asyncio.sleep(0)

    async with runner(tmp_path, send=channel.send, sleep=sleep) as local:
        notification = await delivered(await local.run(tree()))

    assert (notification.tries, notification.error) == (4, None)
    assert pauses == [1.0, 2.0, 4.0]


async def test_permanent_failures_are_abandoned_at_once(tmp_path):
    channel = Channel(DeliveryError("no such channel"))
    async with runner(tmp_path, send=channel.send) as local:
        run = await local.run(tree())
        notification = await delivered(run, DeliveryState.FAILED)

        assert (notification.tries, notification.error) == (1, "no such channel")
        assert (await run.summary()).state is State.DONE


async def test_tries_have_an_end(tmp_path):
    channel = Channel(*[TEMPORARY] * TRIES)
    async with runner(tmp_path, send=channel.send, sleep=at_once) as local:
        notification = await delivered(await local.run(tree()), DeliveryState.FAILED)

    assert (notification.tries, channel.taken) == (TRIES, [])


async def test_a_service_that_hangs_holds_no_node(tmp_path):
    channel = Channel()
    channel.open.clear()
    root = co.Serial(image=IMAGE)
    for name in "abcdefghijkl":
        root[name] = co.Exec("true")
    root.on_queued(co.callback.slack_status("#ops", inherited=True))
    async with runner(tmp_path, send=channel.send) as local:
        run = await local.run(root)
        still_pending = {each.delivery for each in await new_notifications(run)}
        channel.open.set()

        assert (await run.summary()).state is State.DONE
        assert still_pending == {DeliveryState.PENDING}


async def never(_seconds):
    await asyncio.Event().wait()


async def test_unsent_notification_is_sent_once_by_the_next_agent(tmp_path):
    away, back = Channel(*[TEMPORARY] * 9), Channel()
    async with runner(tmp_path, send=away.send, sleep=never) as local:
        run = await local.run(tree())

        async def tried():
            return bool((await new_notifications(run))[0].error)

        await eventually(tried)
    async with runner(tmp_path, send=back.send) as local:
        run.local = local
        notification = await delivered(run)
    async with runner(tmp_path, send=back.send) as local:
        await local.run(tree("false"))

    assert (notification.tries, notification.error) == (2, None)
    assert (away.taken, back.taken) == ([], [("/a", "done")])


async def test_notification_in_progress_at_the_stop_is_not_sent_again(tmp_path):
    slow, next_one = Channel(), Channel()
    slow.open.clear()
    async with runner(tmp_path, send=slow.send) as local:
        run = await local.run(tree())
        await asyncio.to_thread(slow.started.wait, 20)
        asyncio.get_running_loop().call_later(0.2, slow.open.set)
    async with runner(tmp_path, send=next_one.send) as local:
        run.local = local
        notification = await delivered(run)

    assert (slow.taken, next_one.taken) == ([("/a", "done")], [])
    assert notification.tries == 1


async def test_slack_receives_a_message_authenticated_by_the_secret(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("CONDUCTO_SECRET_STORE", "file")
    with web_service() as slack:
        slack.responses = [(401, {"message": "bad token xoxb-123456"})]
        settings = Settings(slack=slack.url)
        async with runner(tmp_path, send=deliver, settings=lambda: settings) as local:
            secret = SecretValue(key="SLACK_TOKEN", scope="user", value="xoxb-123456")
            await local.pipelines.put_secrets(PutSecrets(secrets=(secret,)))
            failed = await delivered(await local.run(tree()), DeliveryState.FAILED)
            await delivered(await local.run(tree()))

    assert [asked.token for asked in slack.asked] == ["xoxb-123456"] * 2
    assert "answered 401" in failed.error
    assert "xoxb-123456" not in failed.model_dump_json() + caplog.text


@pytest.mark.parametrize("name", ["retry", "deserialize_into_node"])
async def test_deciding_callbacks_send_no_notification(tmp_path, name):
    channel = Channel()
    callback = co.callback.retry(1)
    async with runner(tmp_path, send=channel.send) as local:
        root = tree("false", "on_error", callback) if name == "retry" else lazy()
        run = await local.run(root)
        notifications = [n for node in (await run.nodes()).values() for n in node.notifications]

    assert notifications == []


def lazy():
    root = co.Serial(image=IMAGE)
    root["l"] = co.Lazy("false")
    return root


async def test_a_full_disk_loses_no_notification(tmp_path):
    channel = Channel()
    channel.open.clear()
    with small_disk(tmp_path / "disk", 16) as disk:
        async with runner(disk, send=channel.send) as local:
            run = await local.run(tree())
            await asyncio.to_thread(channel.started.wait, 20)
            filler = fill(disk)
            channel.open.set()
            await asyncio.sleep(0.3)  # the result cannot be stored
            filler.unlink()
            notification = await delivered(run)

    assert channel.taken == [("/a", "done")]
    assert notification.tries == 1
