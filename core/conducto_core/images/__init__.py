"""What an image definition means: its steps, Dockerfiles and content hashes.

Both drivers build from this: the local runner through a container engine, the cloud through a
build service. Nothing here does I/O except `contexts` (reads directories) and
`wheel.client_wheel` (reads this very package). It runs on the host only.
"""
