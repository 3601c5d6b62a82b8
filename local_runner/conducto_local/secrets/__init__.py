"""Secrets: variables of every command, masked in its output.

They are stored on this machine, per profile, in two scopes: those of the user and those of the
organisation, which are stored here as well while no server is in use.
"""
