"""The local runner: trees in containers on this machine, behind the same API as the cloud."""
