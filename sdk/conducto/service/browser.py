"""What a browser may do with answers: the same headers from the local server and from the cloud."""


def page_policy(*connect: str) -> str:
    """Return the content security policy of pages.

    Only what comes from the page's own server, no inline code or style, in no frame.

    Args:
        connect: Further addresses that a page may talk to.
    """
    sources = " ".join(("'self'", *connect))
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        f"font-src 'self'; connect-src {sources}; manifest-src 'self'; worker-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


#: For everything else: shown by itself, it can do nothing.
DATA_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
