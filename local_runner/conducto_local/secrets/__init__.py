"""Secrets: values that become variables of every command and are masked in what it prints.

Kept on this machine, per profile, in two scopes: the user's own, and the organisation's, which
stay here as well as long as there is no server.
"""
