"""The security headers of responses, for the local server and the cloud."""

#: The page's name for the target that serves it.
_TARGET = 'name="conducto-target" content="{}"'


def page_policy(*connect: str) -> str:
    """Return the content security policy of pages that may also connect to ``connect``.

    It allows only content from the page's own server, no inline code or style, and no frames.
    """
    sources = " ".join(("'self'", *connect))
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        f"font-src 'self'; connect-src {sources}; manifest-src 'self'; worker-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def cloud_page(page: str) -> str:
    """Return the built page for the cloud; the app reads its target from it."""
    return page.replace(_TARGET.format("local"), _TARGET.format("cloud"))


#: Policy of all other responses: displayed alone, they can do nothing.
DATA_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
