"""Image definitions resolved to build steps, Dockerfiles and content hashes.

Both drivers build from this: the local runner through a container engine, the cloud through a build
service. Nothing here does I/O except `contexts` (reads directories) and `sdk_wheel.client_wheel`
(reads this package). It runs on the host only.
"""
