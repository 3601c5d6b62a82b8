"""The proof that a worker's agent runs in its task. Pure.

All readers of the account can see a task's environment, with the token for its start. So the agent
also signs a request of the AWS operation ``GetCallerIdentity`` with the credentials of the task's
role, which only the task's containers get. The API sends the request to AWS, which responds with
the role and the session; ECS names the session after the id of the task.

The digest of the agent's key is one of the signed headers, so the signature is invalid with
another key.
"""

import re
from collections.abc import Iterable, Mapping
from hashlib import sha256

BODY = b"Action=GetCallerIdentity&Version=2011-06-15"
CONTENT_TYPE = "application/x-www-form-urlencoded; charset=utf-8"
#: Header with the digest of the agent's key.
KEY_HEADER = "X-Conducto-Key"
_SIGNED = re.compile(r"SignedHeaders=([^,\s]+)")
_ARN = re.compile(rb"<Arn>([^<]+)</Arn>")
_CHINA = "aws-cn"


def digest_of(key: str) -> str:
    """Return the digest of an agent's key."""
    return sha256(key.encode()).hexdigest()


def sts_endpoint(region: str, partition: str, environment: Mapping[str, str]) -> str:
    """Return the URL of the regional STS, or of the emulator's AWS."""
    domain = "amazonaws.com.cn" if partition == _CHINA else "amazonaws.com"
    ignored = environment.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true"
    other = None if ignored else environment.get("AWS_ENDPOINT_URL")
    return other or f"https://sts.{region}.{domain}"


def is_bound(authorization: str) -> bool:
    """Return whether a signature covers the digest of the key."""
    found = _SIGNED.search(authorization)
    return found is not None and KEY_HEADER.lower() in found[1].split(";")


def signer_in(response: bytes) -> str:
    """Return the ARN in a response of ``GetCallerIdentity``, or ""."""
    found = _ARN.search(response)
    return "" if found is None else found[1].decode()


def is_session_of(signer: str, task: str, roles: Iterable[str]) -> bool:
    """Return whether an ARN is the session of a task in one of the roles of tasks."""
    task_id = task.rpartition("/")[2]
    return bool(task_id) and signer in {_session(role, task_id) for role in roles}


def _session(role: str, task_id: str) -> str:
    """Return the ARN of a session: ``arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION``."""
    _, partition, _, _, account, path = role.split(":", 5)
    return f"arn:{partition}:sts::{account}:assumed-role/{path.rpartition('/')[2]}/{task_id}"
