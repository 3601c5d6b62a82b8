"""Names for launches by commands: environment variables, and operations of the API."""

from __future__ import annotations

#: "1" for a node with the parameter ``launch``.
LAUNCH = "CONDUCTO_LAUNCH"
#: The token of one attempt of such a node.
TOKEN = "CONDUCTO_LAUNCH_TOKEN"  # noqa: S105 (a name)
#: On a user's machine: the directory through which its requests reach the agent.
CHANNEL = "CONDUCTO_LAUNCH_CHANNEL"
#: Path of the operations that the token allows.
CHILDREN = "/api/v1/children"
#: The file in the channel's directory that takes requests, a line each.
CALLS = "calls"
#: Maximum bytes of a request's body; AWS Lambda accepts 6 MB with the headers.
MAX_BODY = 5 << 20
#: Maximum bytes of a request's line.
MAX_LINE = 3 * MAX_BODY
#: For a program that the agent started: the file for the id of the pipeline that it launches, or
#: for its plan.
RECEIPT = "CONDUCTO_RECEIPT"
#: For a program that a schedule started: the idempotency key of its launch, and a tag of it.
LAUNCH_KEY = "CONDUCTO_LAUNCH_KEY"
LAUNCH_TAG = "CONDUCTO_LAUNCH_TAG"
#: ... and the file with further parts of its launch form, such as the payload of an event.
LAUNCH_PARTS = "CONDUCTO_LAUNCH_PARTS"
