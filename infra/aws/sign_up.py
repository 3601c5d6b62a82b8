"""The function that Cognito asks before it creates an account: only invited people get one.

The template contains this text, so it imports nothing of Conducto. `chalicelib.aws.table_keys` has
the keys of the items; an invitation that was accepted, withdrawn or deleted has none.
"""

import hashlib
import os
import time
from typing import Any

import boto3  # type: ignore[import-untyped]

REFUSED = "this address has no open invitation; ask an administrator of your organisation for one"
#: An administrator of the AWS account creates the account.
_BY_ADMIN = "PreSignUp_AdminCreateUser"


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return the event, which allows the account; raises PermissionError without an invitation."""
    address = event["request"]["userAttributes"].get("email", "")
    if event["triggerSource"] != _BY_ADMIN and not _is_invited(address):
        raise PermissionError(REFUSED)
    return event


def _is_invited(address: str) -> bool:
    digest = hashlib.sha256(address.casefold().encode()).hexdigest()
    found = boto3.client("dynamodb").query(
        TableName=os.environ["TABLE"],
        KeyConditionExpression="pk = :mark",
        FilterExpression="#until > :now",
        ExpressionAttributeNames={"#until": "until"},
        ExpressionAttributeValues={
            ":mark": {"S": f"V#{digest}"},
            ":now": {"N": str(time.time())},
        },
        ConsistentRead=True,
    )
    return bool(found["Items"])
