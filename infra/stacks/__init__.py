"""One stack per concern: network, data (retained), compute, API, site, monitoring."""
