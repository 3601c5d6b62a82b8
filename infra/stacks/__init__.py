"""One stack per concern: network, data (kept), compute, api."""
