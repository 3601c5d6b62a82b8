"""The typed client of the API: `Client` over a `Transport`.

>>> from conducto_client import Client, Endpoint, HttpTransport
>>> client = Client(HttpTransport(Endpoint("http://127.0.0.1:4242", token="...")))
"""

from conducto_client.client import Client
from conducto_client.errors import AgentUnreachableError, ApiError, ClientError
from conducto_client.transport.http import HttpTransport
from conducto_client.transport.port import Body, Endpoint, Reply, StreamLostError, Transport

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
