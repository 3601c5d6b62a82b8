"""Credentials that a worker's agent is lent: they poll one activity and send heartbeats.

The task's own role cannot have these rights: every container of a task can use it, and the user's
is one of them.
"""

import json

from chalicelib.adapters.clients import Clients
from chalicelib.adapters.failures import denying, throttling
from conducto.model.worker import Credentials

#: Seconds that credentials are good; AWS gives no more to a role that takes another one's.
LENT_SECONDS = 3600


class PollRole:
    """Lends the role of agents, narrowed to one activity.

    Args:
        clients: boto3's.
        role: ARN of the role.
    """

    def __init__(self, clients: Clients, role: str) -> None:
        self._clients = clients
        self._role = role

    def lend(self, activity: str, worker_id: str) -> Credentials:
        """Return credentials for an activity's ARN; CloudTrail shows them under the worker's id.

        Raises:
            AccessDeniedError: the API's role may not assume the role of agents.
        """
        with throttling(), denying():
            answer = self._clients.get("sts").assume_role(
                RoleArn=self._role,
                RoleSessionName=worker_id,
                DurationSeconds=LENT_SECONDS,
                Policy=json.dumps(_policy(activity)),
            )
        lent = answer["Credentials"]
        return Credentials(
            access_key=lent["AccessKeyId"],
            secret_key=lent["SecretAccessKey"],
            session_token=lent["SessionToken"],
            expires=lent["Expiration"].timestamp(),
        )


def _policy(activity: str) -> dict[str, object]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "states:GetActivityTask", "Resource": activity},
            # It has no resource level; the token of a task is the key to it.
            {"Effect": "Allow", "Action": "states:SendTaskHeartbeat", "Resource": "*"},
        ],
    }
