"""Run by `test_secrets`: ``conducto`` over the fake; then writes the stored values to a file.

Arguments: the file, then the words after ``conducto``.
"""

import json
import sys
from pathlib import Path

from tests.fakes.pipelines import MemoryAgent, MemoryPipelines
from tests.fakes.transport import InProcessTransport

from conducto_cli.main import main
from conducto_client import Client
from conducto_core.api.dispatch import Service

fake = MemoryPipelines()
with InProcessTransport(Service(fake, MemoryAgent(fake))) as transport:
    code = main(sys.argv[2:], lambda _profile: lambda: Client(transport))
values = {name.key: secret.value for name, secret in fake.secret_store.read().items()}
Path(sys.argv[1]).write_text(json.dumps(values))
sys.exit(code)
