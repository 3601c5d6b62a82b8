"""The operations on the caller's organisation itself, instead of its pipelines."""

from chalicelib.api.people import CloudPeople


class CloudOrganisation(CloudPeople):
    """The organisation of one caller, with their permissions."""
