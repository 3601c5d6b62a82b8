"""The repositories that the installation clones for a launch: their commits and credentials.

A launching machine reads the commit of an image's repository itself and sends it. For launches
without such a machine, from the web app or by a schedule, the commit is found here.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from chalicelib.people.port import Identity
from chalicelib.people.suspension import Suspensions
from chalicelib.records import Records
from chalicelib.triggers.port import GitRef, RepositoryDeniedError
from chalicelib.triggers.tokens import GitPorts, secret_for
from conducto.integrations.http import DeliveryError
from conducto_core.errors import RefusedError
from conducto_core.images.model import CloneSource, ImageSources, ImageSpec
from conducto_core.images.references import without_password
from conducto_core.programs.git_launch import DEFAULT_REF
from conducto_core.triggers.model import Trigger
from conducto_core.triggers.rules.launch import same_repository

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHORT_COMMIT = re.compile(r"[0-9a-f]{7,39}")


@dataclass(frozen=True, slots=True)
class _Lender:
    """The lender of the token of a clone; without values, nobody.

    Attributes:
        trigger: The trigger.
        user: The user, from their secrets.
    """

    trigger: Trigger | None = None
    user: str | None = None


class GitClones:
    """Finds the commits of repositories with the tokens of one caller."""

    def __init__(self, records: Records, git: GitPorts, caller: Identity) -> None:
        self._records = records
        self._git = git
        self._me = caller

    def with_clones(
        self, images: Iterable[ImageSpec], sources: Mapping[str, ImageSources]
    ) -> dict[str, ImageSources]:
        """Return the sources of images, with those that the launch did not send.

        Raises:
            RefusedError: A repository or its branch does not exist or cannot be read; the message
                starts with the wrong field, ``url`` or ``ref``.
            DeliveryError: A server cannot be reached now.
        """
        found = dict(sources)
        for image in images:
            if image.name not in found and _only_clones(image):
                found[image.name] = self._sources(image)
        return found

    def _sources(self, image: ImageSpec) -> ImageSources:
        url, name = str(image.copy_url), str(image.copy_branch or DEFAULT_REF)
        shown = without_password(url)
        lender = self._lender(shown) if url == shown else _Lender()
        ref = self._found(url, name, lender)
        return ImageSources(
            dockerfile=image.dockerfile_text,
            clone=CloneSource(
                url=url,
                branch=ref.name,
                commit=ref.commit,
                trigger=None if lender.trigger is None else lender.trigger.name,
                user=lender.user,
            ),
            code_env={
                "CONDUCTO_GIT_URL": shown,
                "CONDUCTO_GIT_BRANCH": ref.name,
                "CONDUCTO_GIT_SHA": ref.commit,
            },
        )

    def _found(self, url: str, name: str, lender: _Lender) -> GitRef:
        shown = without_password(url)
        is_commit = _COMMIT.fullmatch(name) is not None
        try:
            # A clone needs a branch; that of a commit is not known.
            found = self._find(url, DEFAULT_REF if is_commit else name, lender)
        except RepositoryDeniedError as error:
            has_token = lender != _Lender() or url != shown
            raise RefusedError(self._denied(shown, has_token=has_token)) from error
        except DeliveryError as error:
            if error.temporary:
                raise
            raise RefusedError(f"url: {error}") from error
        if found is None and name == DEFAULT_REF:
            raise RefusedError(f"url: {shown} has no commits yet; push a branch first")
        if found is None:
            short = _SHORT_COMMIT.fullmatch(name) is not None
            hint = "; a commit needs its full hash" if short else ""
            raise RefusedError(f"ref: {shown} has no branch or tag {name!r}{hint}")
        return GitRef(found.name, name) if is_commit else found

    def _find(self, url: str, ref: str, lender: _Lender) -> GitRef | None:
        org, trigger = self._me.org, lender.trigger
        if trigger is None:
            return self._git.refs.find(
                self._git.tokens.lent_address(org, url, user=lender.user), ref
            )

        def found() -> GitRef | None:
            return self._git.refs.find(
                self._git.tokens.lent_address(org, url, trigger=trigger.name), ref
            )

        return self._git.tokens.renewing(org, trigger, found)

    def _denied(self, shown: str, *, has_token: bool) -> str:
        if has_token:
            return f"url: {shown} does not exist, or your token may not read it"
        secret = secret_for(shown)
        if secret is None:
            remedy = "create a git trigger for it with a token that may read it"
        else:
            remedy = f"store a token that may read it as your secret {secret}"
        return f"url: {shown} does not exist, or is private; if it is private, {remedy}"

    def _lender(self, url: str) -> _Lender:
        """Return the trigger of the caller's with a token for a repository, or the caller."""
        org, user = self._me.org, self._me.user
        own = (one for one in self._records.triggers.list_by_name(org) if one.owner == user)
        for trigger in Suspensions(self._records, org).marked(own):
            lends = (trigger.app or trigger.has_token) and not trigger.suspended
            if lends and same_repository(trigger.repository, url):
                return _Lender(trigger=trigger)
        has_secret = self._git.tokens.with_secret(org, user, url) is not None
        return _Lender(user=user) if has_secret else _Lender()


def _only_clones(image: ImageSpec) -> bool:
    """Return whether an image has no files but those of a repository."""
    files = (image.dockerfile, image.context, image.copy_dir)
    return image.copy_url is not None and not any(files) and image.install_npm is not True
