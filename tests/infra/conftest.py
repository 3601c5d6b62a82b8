"""Every installation there is to test."""

from __future__ import annotations

from typing import Any

import pytest

from support.installation import VARIANTS, templates


@pytest.fixture(params=VARIANTS)
def installation(request: pytest.FixtureRequest) -> dict[str, dict[str, Any]]:
    """``{stack: template}`` of one variant."""
    return templates(request.param)
