"""Notifications as Slack, GitHub and a mail server receive them, and retries of failed ones."""

import smtplib
import socket
import threading
from email import message_from_string

import pytest

from conducto.integrations.http import DeliveryError, check_url, get_json
from conducto.integrations.slack import Slack
from conducto_core.notifications.channels import Settings, _log_in, deliver
from conducto_core.notifications.messages import LONGEST_DELAY, delay_after
from conducto_core.notifications.model import NotificationRecord
from conducto_core.run.model.states import State
from conducto_local.agent.state_dir import StateDir
from conducto_local.notifications.store import settings_of
from support.services import mail_server, web_service

SECRETS = {"SLACK_TOKEN": "xoxb-slack", "GITHUB_TOKEN": "ghp-github", "SMTP_PASSWORD": "geheim"}


def note(callback, state=State.DONE, about="/a", **arguments):
    return NotificationRecord(
        number=3,
        path="/a",
        about=about,
        state=state,
        callback=callback,
        arguments=arguments,
        subject=f"Train: {about} is {state}",
        text=f"Train: {about} is {state}\nconducto show abc",
    )


def closed_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def refused(notification, settings, secrets=None):
    with pytest.raises(DeliveryError) as caught:
        deliver("abc", notification, settings, SECRETS if secrets is None else secrets)
    return caught.value


# Slack.


def test_slack_gets_the_text_with_the_bots_token():
    with web_service() as slack:
        deliver("abc", note("slack_status", recipient="#ops"), Settings(slack=slack.url), SECRETS)

    (asked,) = slack.asked
    assert (asked.path, asked.token) == ("/chat.postMessage", "xoxb-slack")
    assert asked.body == {"channel": "#ops", "text": "Train: /a is done\nconducto show abc"}


def test_a_person_is_found_by_their_address():
    with web_service() as slack:
        slack.responses = [(200, {"ok": True, "user": {"id": "U7"}})]

        deliver("abc", note("slack_status", recipient="a@b.c"), Settings(slack=slack.url), SECRETS)

    assert slack.asked[0].path == "/users.lookupByEmail?email=a%40b.c"
    assert slack.asked[1].body["channel"] == "U7"


def test_reply_is_posted_in_the_thread_of_its_message():
    with web_service() as slack:
        first = Slack(slack.url).message("#ops", text="one", token="t")
        Slack(slack.url).message("#ops", text="two", thread_info=first, token="t")

    assert first == {"channel": "C1", "ts": "1.5"}
    assert slack.asked[1].body["thread_ts"] == "1.5"


@pytest.mark.parametrize(
    ("response", "temporary", "words"),
    [
        ((200, {"ok": False, "error": "not_in_channel"}), False, "invite the bot to the channel"),
        ((200, {"ok": False, "error": "internal_error"}), True, "internal_error"),
        ((200, "what?"), False, "no valid response"),
        ((500, {}), True, "answered 500"),
        ((403, {"message": "no"}), False, "answered 403: no"),
    ],
)
def test_a_refusal_says_why_and_whether_it_may_pass(response, temporary, words):
    with web_service() as slack:
        slack.responses = [response]

        error = refused(note("slack_status", recipient="#ops"), Settings(slack=slack.url))

    assert words in str(error)
    assert error.temporary is temporary


def test_a_service_may_ask_for_a_pause():
    with web_service() as slack:
        slack.responses, slack.headers = [(429, {})], {"Retry-After": "30"}

        error = refused(note("slack_status", recipient="#ops"), Settings(slack=slack.url))

    assert (error.temporary, error.after) == (True, 30.0)


def test_unreachable_service_is_retried():
    settings = Settings(slack=f"http://127.0.0.1:{closed_port()}")

    assert refused(note("slack_status", recipient="#ops"), settings).temporary


def test_the_token_does_not_follow_a_redirect():
    with web_service() as other, web_service() as slack:
        slack.responses, slack.headers = [(302, {})], {"Location": other.url}

        error = refused(note("slack_status", recipient="#ops"), Settings(slack=slack.url))

    assert "answered 302" in str(error)
    assert other.asked == []


@pytest.mark.parametrize("url", ["http://example.com/api", "file:///etc/passwd", "https://", "x"])
def test_no_token_goes_where_others_can_read_it(url):
    with pytest.raises(DeliveryError, match="must start with https"):
        check_url(url)


@pytest.mark.parametrize("callback", ["slack_status", "github_status"])
def test_missing_token_is_reported_with_its_remedy(callback):
    error = refused(note(callback, recipient="#ops", url="x", sha="y"), Settings(), {})

    assert "conducto secrets set" in str(error)
    assert not error.temporary


# GitHub.


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        (State.QUEUED, "pending"),
        (State.RUNNING, "pending"),
        (State.DONE, "success"),
        (State.ERROR, "failure"),
        (State.KILLED, "error"),
    ],
)
def test_a_commit_gets_a_status_for_the_node(state, shown):
    arguments = {"url": "git@github.com:me/app.git", "sha": "0a1b"}
    with web_service() as github:
        github.usual = (201, {})
        settings = Settings(github=github.url)

        deliver("abc", note("github_status", state, **arguments), settings, SECRETS)

    (asked,) = github.asked
    assert (asked.path, asked.token) == ("/repos/me/app/statuses/0a1b", "ghp-github")
    assert (asked.body["state"], asked.body["context"]) == (shown, "conducto/a")


def test_a_pipelines_status_has_a_name_of_its_own():
    arguments = {"url": "https://github.com/me/app", "sha": "0a1b"}
    with web_service() as github:
        notification = note("github_pipeline_status", about="/", **arguments)

        deliver("abc", notification, Settings(github=github.url), SECRETS)

    assert github.asked[0].body["context"] == "conducto pipeline"


def test_the_token_for_github_is_not_used_for_a_repository_elsewhere():
    notification = note("github_status", url="https://git.example.com/me/app", sha="1")

    assert "github_url" in str(refused(notification, Settings()))


# Mail.


def mail_settings(mail, **more):
    return Settings(**{"smtp": mail.url, "sender": "ci@b.c", "owner": "me@b.c", **more})


def test_mail_reports_the_state_to_all_recipients():
    with mail_server() as mail:
        notification = note("email", to="a@b.c", cc=["d@e.f", "g@h.i"])

        deliver("abc", notification, mail_settings(mail), SECRETS)

    ((to, text),) = mail.taken
    message = message_from_string(text)
    assert to == ["a@b.c", "d@e.f", "g@h.i"]
    assert (message["From"], message["Subject"]) == ("ci@b.c", "Train: /a is done")
    assert message["Message-ID"] == "<abc.3.conducto@b.c>"
    assert "conducto show abc" in message.get_payload()


def test_a_mail_without_recipients_goes_to_the_owner():
    with mail_server() as mail:
        deliver("abc", note("email"), mail_settings(mail), SECRETS)

    assert mail.taken[0][0] == ["me@b.c"]


def test_a_title_cannot_add_lines_to_the_head_of_a_mail():
    with mail_server() as mail:
        notification = note("email", to="a@b.c").model_copy(update={"subject": "x\nBcc: z@z.z"})

        deliver("abc", notification, mail_settings(mail), SECRETS)

    assert message_from_string(mail.taken[0][1])["Bcc"] is None


@pytest.mark.parametrize(("reply", "temporary"), [("451 later", True), ("554 never", False)])
def test_mail_server_decides_whether_to_retry(reply, temporary):
    with mail_server() as mail:
        mail.replies = [reply]

        error = refused(note("email", to="a@b.c"), mail_settings(mail))

    assert error.temporary is temporary
    assert reply in str(error)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"smtp": None}, "no mail server: set"),
        ({"owner": None}, "no recipient"),
        ({"smtp": "http://x"}, "smtp_url must be"),
        ({"smtp": "smtp://me:geheim@"}, "smtp_url must be"),
    ],
)
def test_missing_mail_settings_are_reported(more, words):
    with mail_server() as mail:
        error = refused(note("email"), mail_settings(mail, **more))

    assert words in str(error)
    assert "geheim" not in str(error)
    assert not error.temporary


def test_unreachable_mail_server_is_retried():
    settings = Settings(smtp=f"smtp://127.0.0.1:{closed_port()}", sender="a@b.c", owner="a@b.c")

    assert refused(note("email"), settings).temporary


def test_a_password_is_not_sent_in_the_clear_to_another_machine():
    with pytest.raises(DeliveryError, match="not sent without"):
        _log_in(smtplib.SMTP(), "smtp://me@mail.example.com", "geheim")


# Settings and pauses.


def test_addresses_come_from_the_environment_then_the_profile(tmp_path, monkeypatch):
    monkeypatch.setenv("CONDUCTO_BASE_DIR", str(tmp_path))
    (tmp_path / "me").mkdir()
    (tmp_path / "me" / "config").write_text(
        "[general]\nemail = me@b.c\n[notifications]\nslack_url = https://s/\nsmtp_url = smtp://m\n"
    )

    found = settings_of(StateDir(tmp_path, "me"), {"CONDUCTO_SMTP_URL": "smtp://other"})

    assert (found.slack, found.smtp) == ("https://s", "smtp://other")
    assert (found.sender, found.owner) == ("me@b.c", "me@b.c")


def test_pauses_grow_up_to_a_limit():
    assert [delay_after(n, None) for n in (1, 2, 3, 19)] == [1.0, 2.0, 4.0, LONGEST_DELAY]


def test_a_pause_that_is_asked_for_is_kept():
    assert delay_after(1, 30.0) == 30.0
    assert delay_after(1, 1e9) == LONGEST_DELAY


def test_service_that_sends_slowly_is_left():
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip():
            with server.accept()[0] as client:
                client.sendall(b"HTTP/1.1 200 OK\r\n")
                while not done.wait(0.05):  # each step is quick
                    client.sendall(b"X")

        thread = threading.Thread(target=drip)
        thread.start()
        with pytest.raises(DeliveryError, match=r"within 0\.2 seconds") as caught:
            get_json(f"http://127.0.0.1:{server.getsockname()[1]}/", None, deadline=0.2)
        done.set()
        thread.join()

    assert caught.value.temporary
