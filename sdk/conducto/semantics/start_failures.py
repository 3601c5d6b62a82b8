"""What AWS's reason for a worker that could not start means, and what to do about it. No I/O."""

#: In a reason that passes by itself: a registry or a service that limits calls.
_TRANSIENT = ("toomanyrequests", "429 too many", "rate exceeded", "throttl", "request limit")
_REMEDIES = (
    (
        ("exec format error", "exit code 255", "image manifest does not contain descriptor"),
        "workers are linux/amd64: build the image with --platform linux/amd64",
    ),
    (
        ("pull access denied", "authorization failed", "403 forbidden", "401 unauthorized"),
        "check the image's name, and that the installation may pull it",
    ),
    (("not found", "manifest unknown"), "check the image's name and tag"),
    (
        ("free addresses", "insufficient free", "eni"),
        "the subnets have no free address: give the installation larger ones, or run less at once",
    ),
    (("vcpu", "quota", "limit on the number"), "have the quota of the AWS account raised"),
    (("efs", "mount"), "check the file system, its mount targets, and its security group"),
)


def is_transient(reason: str) -> bool:
    """Return whether a later start may succeed without anybody doing anything."""
    return any(words in reason.lower() for words in _TRANSIENT)


def with_remedy(reason: str) -> str:
    """Return AWS's reason with what to do about it, where that is known."""
    said = reason.lower()
    for words, remedy in _REMEDIES:
        if any(word in said for word in words):
            return f"{reason}; {remedy}"
    return reason
