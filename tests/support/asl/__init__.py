"""The cloud's half of the conformance suite: interpreters, a small API, scripted workers."""
