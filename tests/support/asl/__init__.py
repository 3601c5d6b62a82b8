"""The cloud part of the conformance suite: interpreters, a small API, scripted workers."""
