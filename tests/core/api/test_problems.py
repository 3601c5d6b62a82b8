"""Problems name a person who can help."""

import pytest

from conducto_core.api.operation import Permission
from conducto_core.api.problems import ProblemError, check_allowed


@pytest.mark.parametrize(
    ("needed", "remedy"),
    [
        (Permission.LAUNCH, "ask an administrator for a token with it"),
        (Permission.MANAGE_ORGANISATION, "ask an administrator for a token with it"),
        (Permission.MANAGE_BILLING, "ask an owner of the organisation for a token with it"),
    ],
)
def test_missing_permission_names_the_role_that_has_it(needed: Permission, remedy: str) -> None:
    with pytest.raises(ProblemError) as caught:
        check_allowed([needed], {Permission.READ})

    assert caught.value.problem.remedy == remedy
