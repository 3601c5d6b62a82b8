"""The operations on organisations and their members; only the cloud's API has them."""

from conducto_core.model.operations.operation import AnyOperation, read
from conducto_core.model.params import NoParams
from conducto_core.model.people import MemberList

LIST_MEMBERS = read(
    "list_members", "/members", NoParams, MemberList, "List the members of the organisation."
)

#: All operations of this module.
PEOPLE_OPERATIONS: tuple[AnyOperation, ...] = (LIST_MEMBERS,)
