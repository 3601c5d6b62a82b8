"""The typed client of the API: `Client` over a `Transport`.

>>> from conducto.client import Client, Endpoint, HttpTransport
>>> client = Client(HttpTransport(Endpoint("http://127.0.0.1:4242", token="...")))
"""

from conducto.client.client import Client
from conducto.client.errors import AgentUnreachableError, ApiError, ClientError
from conducto.client.http import Endpoint, HttpTransport
from conducto.client.transport import Body, Reply, StreamLostError, Transport

__all__ = [
    "AgentUnreachableError",
    "ApiError",
    "Body",
    "Client",
    "ClientError",
    "Endpoint",
    "HttpTransport",
    "Reply",
    "StreamLostError",
    "Transport",
]
