"""The channels: Slack's and GitHub's web APIs, and SMTP. All of them block: use a thread."""

import json
import smtplib
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from functools import partial
from urllib.parse import unquote, urlsplit

from conducto.integrations import slack
from conducto.integrations.git import page_of
from conducto.integrations.http import (
    TIMEOUT,
    DeliveryError,
    is_this_machine,
    post_document,
    post_json,
)
from conducto.integrations.slack import TOKEN as SLACK_TOKEN
from conducto.integrations.slack import Slack
from conducto_core.notifications.model import NotificationRecord
from conducto_core.run.model.states import State
from conducto_core.triggers.rules.git_api import CommitStatus
from conducto_core.triggers.rules.providers import GIT_APIS, generic_headers

# ----------------------------------------------------------------------------------------
# The settings of notifications: addresses of services.
#
# The tokens are secrets of the pipeline's owner: ``SLACK_TOKEN``, ``GITHUB_TOKEN`` and
# ``SMTP_PASSWORD``.


GITHUB_URL = "https://api.github.com"


@dataclass(frozen=True, slots=True)
class Settings:
    """Addresses of services.

    Attributes:
        smtp: ``smtp://[user@]host[:port]`` or ``smtps://…``; None if there is none.
        owner: Address of the pipeline's owner, the default recipient.
        web_app: Address of the web app, or "".
        public_only: Webhooks and statuses may only be sent to public addresses: not to services
            beside the sender, which trust it.
    """

    slack: str = slack.URL
    github: str = GITHUB_URL
    gitlab: str = "https://gitlab.com/api/v4"
    bitbucket: str = "https://api.bitbucket.org/2.0"
    gitea: str = "https://gitea.com/api/v1"
    smtp: str | None = None
    sender: str | None = None
    owner: str | None = None
    web_app: str = ""
    public_only: bool = False

    def git_url(self, provider: str) -> str:
        """Return the address of a provider's API."""
        known = {
            "github": self.github,
            "gitlab": self.gitlab,
            "bitbucket": self.bitbucket,
            "gitea": self.gitea,
        }
        return known[provider]


SMTP_PASSWORD = "SMTP_PASSWORD"  # noqa: S105 (the name of the secret)
#: The channel of webhooks; only rules use it.
WEBHOOK = "webhook"
_SMTP_PORT, _SMTPS_PORT = 587, 465
_PERMANENT = 500

Secrets = Mapping[str, str]
#: Sends one notification of a pipeline; raises `DeliveryError`.
Send = Callable[[str, NotificationRecord, Settings, Secrets], None]


def deliver(
    pipeline_id: str, notification: NotificationRecord, settings: Settings, secrets: Secrets
) -> None:
    """Send a notification.

    Raises:
        DeliveryError: it was rejected, or there is no channel for it.
    """
    channel = _CHANNELS.get(notification.callback)
    if channel is None:
        raise DeliveryError(f"there is no callback {notification.callback!r} in this version")
    channel(pipeline_id, notification, settings, secrets)


def _slack(
    _pipeline_id: str, notification: NotificationRecord, settings: Settings, secrets: Secrets
) -> None:
    token = secrets.get(SLACK_TOKEN)
    if not token:
        raise _no_secret(SLACK_TOKEN, "the token of the bot that posts")
    recipient = str(notification.arguments.get("recipient") or "")
    try:
        slack = Slack(settings.slack, public_only=settings.public_only)
        slack.message(recipient, notification.text, token=token)
    except ValueError as error:
        raise DeliveryError(str(error)) from error


def _github(
    pipeline_id: str, notification: NotificationRecord, settings: Settings, secrets: Secrets
) -> None:
    """Set the status that a callback names; it has the address of the repository."""
    token = _git_token("github", secrets)
    page = page_of(str(notification.arguments.get("url") or ""))
    host, name = urlsplit(page).hostname or "", urlsplit(page).path.strip("/")
    if settings.github == GITHUB_URL and host != "github.com":
        raise DeliveryError(
            f"{page or 'the address'} is not at github.com; set the address of its API: "
            "github_url in the profile's [notifications], or CONDUCTO_GITHUB_URL"
        )
    status = CommitStatus(
        repository=name,
        sha=str(notification.arguments.get("sha") or ""),
        state=GIT_APIS["github"].state(notification.state),
        description=_described(pipeline_id, notification),
    )
    if notification.callback == "github_status":
        status = status._replace(context=f"conducto{notification.about.rstrip('/')}")
    post_status("github", settings, status, token)


def _commit(
    provider: str,
    pipeline_id: str,
    notification: NotificationRecord,
    settings: Settings,
    secrets: Secrets,
) -> None:
    """Set the status of the commit that a trigger launched the pipeline for."""
    token = _git_token(provider, secrets)
    given = notification.arguments
    page = given.get("page")
    status = CommitStatus(
        repository=str(given["repository"]),
        sha=str(given["sha"]),
        state=GIT_APIS[provider].state(notification.state),
        description=_described(pipeline_id, notification),
        page=None if page is None else str(page),
        context=str(given["context"]),
    )
    post_status(provider, settings, status, token)


def _git_token(provider: str, secrets: Secrets) -> str:
    name = GIT_APIS[provider].token_secret
    token = secrets.get(name)
    if not token:
        raise _no_secret(name, "a token that may write commit statuses")
    return token


def _described(pipeline_id: str, notification: NotificationRecord) -> str:
    waits = notification.state is State.QUEUED
    state = "an approval waits" if waits else notification.state.value
    return f"{state}, pipeline {pipeline_id}"


def post_status(provider: str, settings: Settings, status: CommitStatus, token: str) -> None:
    """Set the status of a commit at the settings' provider; raises `DeliveryError`."""
    api = GIT_APIS[provider]
    body = api.status_body(status)
    url = settings.git_url(provider) + api.statuses_path(status.repository, status.sha)
    post_json(url, body, token, public_only=settings.public_only)


def _mail(
    pipeline_id: str, notification: NotificationRecord, settings: Settings, secrets: Secrets
) -> None:
    to = _addresses(notification.arguments.get("to")) or _addresses(settings.owner)
    if not to:
        raise DeliveryError("no recipient: give email() a to=, or set the profile's email")
    if settings.smtp is None or settings.sender is None:
        raise DeliveryError(
            "no mail server: set smtp_url and email_from in the profile's "
            "[notifications], or CONDUCTO_SMTP_URL and CONDUCTO_EMAIL_FROM"
        )
    cc = _addresses(notification.arguments.get("cc"))
    message = EmailMessage()
    message["From"], message["To"] = settings.sender, ", ".join(to)
    if cc:
        message["Cc"] = ", ".join(cc)
    message["Subject"] = " ".join(notification.subject.split())
    # The same ID for every retry, so that servers and readers recognise a duplicate.
    domain = settings.sender.rpartition("@")[2]
    message["Message-ID"] = f"<{pipeline_id}.{notification.number}.conducto@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(notification.text)
    _post(message, [*to, *cc], settings.smtp, secrets.get(SMTP_PASSWORD))


def send_mail(
    to: str, subject: str, text: str, settings: Settings, password: str | None = None
) -> bool:
    """Send a message of the installation itself; return False if it has no mail server.

    Raises:
        DeliveryError: The server rejected it, or cannot be reached.
    """
    if settings.smtp is None or settings.sender is None:
        return False
    message = EmailMessage()
    message["From"], message["To"] = settings.sender, to
    message["Subject"] = " ".join(subject.split())
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    _post(message, [to], settings.smtp, password)
    return True


def _post(message: EmailMessage, to: list[str], url: str, password: str | None) -> None:
    try:
        server = _connected(url)
    except (OSError, smtplib.SMTPException) as error:
        raise DeliveryError(
            f"the mail server cannot be reached: {error}", temporary=True
        ) from error
    try:
        _log_in(server, url, password)
        server.send_message(message, to_addrs=to)
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        raise _mail_refused(f"no recipient of {', '.join(to)}", min(codes)) from error
    except smtplib.SMTPResponseException as error:
        said = error.smtp_error
        text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise _mail_refused(text, error.smtp_code) from error
    except (OSError, smtplib.SMTPException) as error:
        raise DeliveryError(f"the mail was not accepted: {error}", temporary=True) from error
    finally:
        with suppress(OSError, smtplib.SMTPException):  # the mail is already sent or failed
            server.quit()


def _connected(url: str) -> smtplib.SMTP:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in {"smtp", "smtps"} or not host:
        # The invalid value is not repeated: it may contain a password.
        raise DeliveryError("smtp_url must be smtp://[user@]host[:port] or smtps://…")
    name = socket.gethostname()
    if parts.scheme == "smtps":
        context = ssl.create_default_context()
        port = parts.port or _SMTPS_PORT
        return smtplib.SMTP_SSL(host, port, name, timeout=TIMEOUT, context=context)
    server = smtplib.SMTP(host, parts.port or _SMTP_PORT, name, timeout=TIMEOUT)
    try:
        server.ehlo()
        if server.has_extn("starttls"):
            server.starttls(context=ssl.create_default_context())
            server.ehlo()
    except BaseException:
        server.close()
        raise
    return server


def _log_in(server: smtplib.SMTP, url: str, password: str | None) -> None:
    parts = urlsplit(url)
    if not parts.username:
        return
    if not password:
        raise _no_secret(SMTP_PASSWORD, "the password at the mail server")
    if not isinstance(server.sock, ssl.SSLSocket) and not is_this_machine(parts.hostname or ""):
        raise DeliveryError(
            f"{parts.hostname} offers no encryption, and the password is not sent without it"
        )
    server.login(unquote(parts.username), password)


def _mail_refused(text: str, code: int) -> DeliveryError:
    return DeliveryError(
        f"the mail server rejected it: {code} {text}", temporary=not code >= _PERMANENT
    )


def _addresses(value: object) -> list[str]:
    given = value if isinstance(value, (list, tuple)) else [value]
    return [each for each in given if isinstance(each, str) and "@" in each]


def _no_secret(name: str, what: str) -> DeliveryError:
    return DeliveryError(f"there is no secret {name} ({what}): conducto secrets set {name}")


def _webhook(
    pipeline_id: str, notification: NotificationRecord, settings: Settings, secrets: Secrets
) -> None:
    url, name = str(notification.arguments["url"]), notification.arguments.get("secret")
    secret = None if name is None else secrets.get(str(name))
    if name is not None and not secret:
        raise _no_secret(str(name), "the secret that signs the webhook")
    body = json.dumps(notification.arguments["document"]).encode()
    identity = f"{pipeline_id}.{notification.number}"
    headers = generic_headers(body, identity, time.time(), secret)
    post_document(url, body, headers, public_only=settings.public_only)


#: The channels that set the status of the commit of a git trigger.
COMMIT_CALLBACKS: Mapping[str, Send] = {
    f"{provider}_commit": partial(_commit, provider) for provider in GIT_APIS
}
_CHANNELS: Mapping[str, Send] = {
    WEBHOOK: _webhook,
    "slack_status": _slack,
    "github_status": _github,
    "github_pipeline_status": _github,
    "email": _mail,
    **COMMIT_CALLBACKS,
}
