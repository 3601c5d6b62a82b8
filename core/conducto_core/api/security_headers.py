"""What a browser may do with answers: the same headers from the local server and from the cloud."""

#: What the page says of the side that serves it.
_SIDE = 'name="conducto-side" content="{}"'


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


def cloud_page(page: str) -> str:
    """Return the built page as the cloud serves it; the app asks it on which side it is."""
    return page.replace(_SIDE.format("local"), _SIDE.format("cloud"))


#: For everything else: shown by itself, it can do nothing.
DATA_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
