"""Callbacks that tell somebody, in the cloud: written down with the state, sent until taken."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.errors import ThrottledError
from chalicelib.notifications.sender import LEASE, NotificationSender
from chalicelib.run.store import JournalStore
from chalicelib.secrets.injection import org_scope, user_scope
from chalicelib.services import Services
from conducto.integrations.http import DeliveryError
from conducto_core.notifications.channels import Settings
from conducto_core.notifications.messages import TRIES
from conducto_core.notifications.model import DeliveryState
from conducto_core.run.model.params import TreeParams
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.run.model.states import Cause
from support.cloud.world import ME, World
from support.services import mail_server, web_service
from support.trees import form, leaf, parallel, serial

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chalicelib.run.port import Outgoing
    from conducto_core.notifications.model import NotificationRecord

TEMPORARY = DeliveryError("not now", temporary=True)


class Channel:
    """Takes every notification, unless the test says otherwise.

    Attributes:
        taken: ``(path, state)`` in the order they came.
        secrets: What the last one was sent with.
        failures: Errors of the next tries.
        before: Called at the begin of each try.
    """

    def __init__(self, *failures: Exception) -> None:
        self.taken: list[tuple[str, str]] = []
        self.secrets: Mapping[str, str] = {}
        self.failures = list(failures)
        self.before: Callable[[], object] = lambda: None

    def send(
        self,
        _pipeline_id: str,
        notification: NotificationRecord,
        settings: Settings,
        secrets: Mapping[str, str],
    ) -> None:
        self.before()
        self.secrets, self.settings = secrets, settings
        if self.failures:
            raise self.failures.pop(0)
        self.taken.append((notification.path, str(notification.state)))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def channel() -> Channel:
    return Channel()


@pytest.fixture
def messenger(world: World, channel: Channel) -> NotificationSender:
    return world.sender(
        settings=Settings(),
        send=channel.send,
    )


def slack(event: str = "done", message: str = "Hi", **more: Any) -> list[Any]:
    return [event, ["slack_status", {"recipient": "#ops", "message": message, **more}]]


def launch(world: World, *callbacks: list[Any], run: bool = True) -> str:
    return world.launch(serial(leaf("a", callbacks=list(callbacks) or [slack()])), run=run)


def ran(world: World, *callbacks: list[Any], cause: Cause | None = None) -> str:
    pipeline = launch(world, *callbacks)
    world.run_out(lambda _: cause)
    return pipeline


def new_notifications(
    world: World, pipeline: str, path: str = "/a"
) -> tuple[NotificationRecord, ...]:
    return world.nodes(pipeline)[path].notifications


def test_a_callback_is_sent_and_shows_in_its_node(
    world: World, messenger: NotificationSender, channel: Channel
) -> None:
    pipeline = ran(world)
    (waiting,) = new_notifications(world, pipeline)

    assert messenger.run() == 1

    (sent,) = new_notifications(world, pipeline)
    assert waiting.delivery is DeliveryState.PENDING
    assert (sent.delivery, sent.tries, sent.error) == (DeliveryState.SENT, 1, None)
    assert sent.text.startswith("Hi\n")
    assert "/a is done" in sent.text
    assert channel.taken == [("/a", "done")]
    assert messenger.run() == 0


def test_notification_describes_the_state_at_the_event(world: World) -> None:
    pipeline = ran(world, slack("error", node_summary=True), cause=Cause.EXIT_CODE)
    world.control(pipeline, "reset", "/a")

    (waiting,) = new_notifications(world, pipeline)

    assert "/a is error (exit code)" in waiting.text
    assert "1 error" in waiting.text


def test_another_lambda_reads_the_same_and_counts_on(
    world: World, messenger: NotificationSender
) -> None:
    pipeline = ran(world)
    world.services = Services(world.cloud)
    world.control(pipeline, "reset", "/a")
    world.run_out()

    messenger.run()

    assert [each.number for each in new_notifications(world, pipeline)] == [1, 2]


def test_success_without_a_callback_sends_nothing(
    world: World, messenger: NotificationSender
) -> None:
    pipeline = ran(world, slack("error"))

    assert messenger.run() == 0
    assert new_notifications(world, pipeline) == ()


def test_tokens_are_those_of_the_owner_over_the_orgs(
    world: World, messenger: NotificationSender, channel: Channel
) -> None:
    world.vault.write(org_scope(ME.org), {"SLACK_TOKEN": {"value": "theirs"}, "X": {"value": "x"}})
    world.vault.write(user_scope(ME.org, ME.user), {"SLACK_TOKEN": {"value": "mine"}})
    ran(world)

    messenger.run()

    assert channel.secrets == {"SLACK_TOKEN": "mine", "X": "x"}


def test_a_secret_in_a_message_is_written_down_hidden(world: World) -> None:
    world.vault.write(org_scope(ME.org), {"PASSWORD": {"value": "hunter2-hunter2"}})

    pipeline = ran(world, slack(message="it is hunter2-hunter2"))

    (waiting,) = new_notifications(world, pipeline)
    assert "hunter2" not in waiting.text
    assert waiting.text.startswith("it is ")


def test_a_secret_in_a_refusal_is_hidden(
    world: World, messenger: NotificationSender, channel: Channel
) -> None:
    world.vault.write(org_scope(ME.org), {"SLACK_TOKEN": {"value": "xoxb-very-secret"}})
    channel.failures = [DeliveryError("xoxb-very-secret is no token")]
    pipeline = ran(world)

    messenger.run()

    (failed,) = new_notifications(world, pipeline)
    assert failed.delivery is DeliveryState.FAILED
    assert failed.error is not None
    assert "xoxb-very-secret" not in failed.error
    assert "is no token" in failed.error


def test_unexpected_error_ends_one_notification_only(
    world: World, messenger: NotificationSender, channel: Channel
) -> None:
    channel.failures = [ValueError("strange")]
    first, second = ran(world), ran(world)

    messenger.run()

    states = {new_notifications(world, pipeline)[0].delivery for pipeline in (first, second)}
    assert states == {DeliveryState.FAILED, DeliveryState.SENT}
    assert len(channel.taken) == 1


def test_failed_notification_is_retried_with_growing_delays(
    world: World, messenger: NotificationSender, channel: Channel
) -> None:
    channel.failures = [TEMPORARY, DeliveryError("slow down", temporary=True, after=300)]
    pipeline = ran(world)

    assert messenger.run() == 1
    assert messenger.run() == 0  # not at once
    world.now += 60
    assert messenger.run() == 1
    world.now += 60
    assert messenger.run() == 0  # the service has asked for five minutes
    assert new_notifications(world, pipeline)[0].error == "slow down"
    world.now += 300
    assert messenger.run() == 1

    (sent,) = new_notifications(world, pipeline)
    assert (sent.delivery, sent.tries, sent.error) == (DeliveryState.SENT, 3, None)


def test_delivery_is_abandoned_after_the_last_retry(
    world: World, messenger: NotificationSender, channel: Channel
) -> None:
    channel.failures = [TEMPORARY] * (TRIES + 5)
    pipeline = ran(world)

    for _ in range(TRIES + 5):
        messenger.run()
        world.now += 1000

    (failed,) = new_notifications(world, pipeline)
    assert (failed.delivery, failed.tries) == (DeliveryState.FAILED, TRIES)
    assert failed.error == "not now"
    assert failed.ended is not None


def test_later_notification_of_a_node_and_callback_waits_for_the_earlier(
    world: World, messenger: NotificationSender, channel: Channel
) -> None:
    channel.failures = [TEMPORARY]
    pipeline = ran(world, slack("queued"), slack("done"))

    messenger.run()
    assert channel.taken == []
    world.now += 60
    messenger.run()

    assert channel.taken == [("/a", "queued"), ("/a", "done")]
    assert {each.delivery for each in new_notifications(world, pipeline)} == {DeliveryState.SENT}


def test_while_one_sends_another_leaves_it_alone(
    world: World, messenger: NotificationSender, channel: Channel
) -> None:
    other = world.sender(
        settings=Settings(),
        send=channel.send,
    )
    tries: list[int] = []

    def meanwhile() -> None:
        channel.before = lambda: None
        tries.append(other.run())

    channel.before = meanwhile
    pipeline = ran(world)

    assert messenger.run() == 1
    assert tries == [0]
    assert new_notifications(world, pipeline)[0].tries == 1


class _Dies(BaseException):
    """The Lambda is killed."""


def test_notification_of_a_killed_sender_is_sent_by_another_after_the_lease(
    world: World, messenger: NotificationSender, channel: Channel
) -> None:
    def die() -> None:
        channel.before = lambda: None
        raise _Dies

    channel.before = die
    pipeline = ran(world)
    with pytest.raises(_Dies):
        messenger.run()

    assert messenger.run() == 0
    world.now += LEASE
    assert messenger.run() == 1
    assert new_notifications(world, pipeline)[0].delivery is DeliveryState.SENT


def test_slow_sender_does_not_overwrite_a_later_one(
    world: World, messenger: NotificationSender, channel: Channel
) -> None:
    other = world.sender(
        settings=Settings(),
        send=Channel().send,
    )

    def sleep_through_the_lease() -> None:
        world.now += LEASE
        other.run()

    channel.before = sleep_through_the_lease
    channel.failures = [DeliveryError("refused")]
    pipeline = ran(world)

    messenger.run()

    assert new_notifications(world, pipeline)[0].delivery is DeliveryState.SENT


def test_run_ends_in_time_and_the_next_one_continues(
    world: World, messenger: NotificationSender, channel: Channel
) -> None:
    def slowly() -> None:
        world.now += 20

    channel.before = slowly
    pipelines = [ran(world) for _ in range(3)]

    assert messenger.run(seconds=30) == 2
    assert messenger.run(seconds=30) == 1
    assert all(
        new_notifications(world, each)[0].delivery is DeliveryState.SENT for each in pipelines
    )


def test_only_the_last_notification_before_a_kill_is_sent_again(
    world: World, messenger: NotificationSender, channel: Channel
) -> None:
    # One action notifies about five nodes; each try takes six seconds, and the last one is deadly.
    callbacks = [["queued", ["slack_status", {"recipient": "#ops"}]]]
    world.launch(parallel(*(leaf(callbacks=callbacks) for _ in range(5))))
    tries: list[int] = []

    def slowly() -> None:
        tries.append(1)
        world.now += 6
        if len(tries) == 5:
            raise _Dies

    channel.before = slowly
    with pytest.raises(_Dies):
        messenger.run()
    channel.before = lambda: None
    world.now += LEASE
    messenger.run()

    # The first three were written down in between; the fourth was not, and comes twice.
    assert [path for path, _ in channel.taken] == ["/n0", "/n1", "/n2", "/n3", "/n3", "/n4"]


class _Throttled(JournalStore):
    """Rejects a number of writes of notification states."""

    refusals = 0

    def put_outgoing(self, org: str, pipeline_id: str, outgoing: Outgoing) -> None:
        if self.refusals:
            self.refusals -= 1
            raise ThrottledError("later")
        super().put_outgoing(org, pipeline_id, outgoing)


def test_throttled_table_keeps_due_notifications(channel: Channel) -> None:
    world = World()
    store = _Throttled(world.table, world.blobs, world.orgs)
    world.use(store=store)
    messenger = world.sender(
        settings=Settings(),
        send=channel.send,
    )
    pipeline = ran(world)
    store.refusals = 1

    assert messenger.run() == 0
    assert messenger.run() == 1

    assert new_notifications(world, pipeline)[0].delivery is DeliveryState.SENT


def test_slack_receives_the_message_of_the_callback(world: World) -> None:
    world.vault.write(org_scope(ME.org), {"SLACK_TOKEN": {"value": "xoxb-1"}})
    ran(world, slack(message="Build"))

    with web_service() as service:
        world.sender(
            settings=Settings(slack=service.url),
        ).run()

    (asked,) = service.asked
    assert (asked.token, asked.body["channel"]) == ("xoxb-1", "#ops")
    assert "Build" in str(asked.body)


def test_mail_goes_to_the_owner_whose_name_is_an_address(world: World) -> None:
    pipelines = world.pipelines(type(ME)(ME.org, "ann@example.com", ME.permissions))
    tree = serial(leaf("a", callbacks=[["queued", ["email", {}]]]))

    asyncio.run(pipelines.launch(LaunchRequest(tree=form(tree), run=True)))
    with mail_server() as mail:
        world.sender(
            settings=Settings(smtp=mail.url, sender="ci@example.com"),
        ).run()

    ((to, _),) = mail.taken
    assert to == ["ann@example.com"]


def test_missing_mail_server_is_shown_on_the_node(world: World) -> None:
    pipeline = ran(world, ["done", ["email", {"to": "bob@example.com"}]])

    world.sender(
        settings=Settings(),
    ).run()

    (failed,) = new_notifications(world, pipeline)
    assert failed.delivery is DeliveryState.FAILED
    assert failed.error is not None
    assert "no mail server: set" in failed.error


def test_nodes_of_one_page_stay_distinguishable(
    world: World, messenger: NotificationSender
) -> None:
    tree = serial(leaf("a", callbacks=[slack()]), leaf("b", callbacks=[slack("queued"), slack()]))
    pipeline = world.launch(tree)
    world.run_out()
    messenger.run()

    page = asyncio.run(world.pipelines().get_tree(TreeParams(id=pipeline)))

    assert {n.path: len(n.notifications) for n in page.nodes} == {"/": 0, "/a": 1, "/b": 2}
