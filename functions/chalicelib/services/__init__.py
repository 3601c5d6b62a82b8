"""Use cases of the cloud: they combine the domain with the ports."""
