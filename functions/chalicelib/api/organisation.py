"""The operations on the caller's organisation itself, instead of its pipelines."""

from chalicelib.api.people import CloudPeople
from chalicelib.api.sign_in import CloudSignIn


class CloudOrganisation(CloudPeople, CloudSignIn):
    """The organisation of one caller, with their permissions."""
