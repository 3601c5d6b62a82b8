"""Print which shims are needed: ``{name: true or false}``."""

import json

from system.deploy import shims

print(json.dumps({shim.name: shim.is_needed() for shim in shims.all_shims()}))  # noqa: T201
