"""The repositories that the installation clones for a launch: their commits and credentials.

A launching machine reads the commit of an image's repository itself and sends it. For launches
without such a machine, from the web app or by a schedule, the commit is found here.
"""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from chalicelib.ports.git import GitRef, RepositoryDeniedError
from chalicelib.ports.identity import Identity
from chalicelib.services.dependencies import Dependencies
from chalicelib.services.github_app import clone_address
from chalicelib.services.secret_injection import inject
from chalicelib.services.triggers import trigger_token
from conducto.integrations.http import DeliveryError
from conducto_core.errors import RefusedError
from conducto_core.images.urls import without_password
from conducto_core.model.git_launch import DEFAULT_REF
from conducto_core.model.image_sources import CloneSource, ImageSources
from conducto_core.model.images import ImageSpec
from conducto_core.model.triggers import Provider
from conducto_core.semantics.git_providers import GIT_APIS
from conducto_core.semantics.trigger_launch import with_token

#: ``{host: provider}`` of the hosts for which users store a token as a secret.
_HOSTS: Mapping[str, Provider] = {"github.com": "github", "gitlab.com": "gitlab"}
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHORT_COMMIT = re.compile(r"[0-9a-f]{7,39}")


class GitClones:
    """Finds the commits of repositories with the tokens of one caller."""

    def __init__(self, cloud: Dependencies, caller: Identity) -> None:
        self._cloud = cloud
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
        shown = without_password(str(image.copy_url))
        url, trigger = str(image.copy_url), None
        if url == shown:
            url, trigger = self._with_token(shown)
        ref = self._found(url, str(image.copy_branch or DEFAULT_REF))
        return ImageSources(
            dockerfile=image.dockerfile_text,
            clone=CloneSource(
                url=url if trigger is None else shown,
                branch=ref.name,
                commit=ref.commit,
                trigger=trigger,
            ),
            code_env={
                "CONDUCTO_GIT_URL": shown,
                "CONDUCTO_GIT_BRANCH": ref.name,
                "CONDUCTO_GIT_SHA": ref.commit,
            },
        )

    def _found(self, url: str, name: str) -> GitRef:
        shown = without_password(url)
        is_commit = _COMMIT.fullmatch(name) is not None
        try:
            # A clone needs a branch; that of a commit is not known.
            found = self._cloud.refs.find(url, DEFAULT_REF if is_commit else name)
        except RepositoryDeniedError as error:
            raise RefusedError(self._denied(shown, has_token=url != shown)) from error
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

    def _denied(self, shown: str, *, has_token: bool) -> str:
        if has_token:
            return f"url: {shown} does not exist, or your token may not read it"
        known = _HOSTS.get(urlsplit(shown).hostname or "")
        if known is None:
            remedy = "create a git trigger for it with a token that may read it"
        else:
            remedy = f"store a token that may read it as your secret {GIT_APIS[known].token_secret}"
        return f"url: {shown} does not exist, or is private; if it is private, {remedy}"

    def _with_token(self, url: str) -> tuple[str, str | None]:
        """Return an address with the caller's token for its host, or for a trigger of theirs.

        The second value is the trigger, if its token is one of a GitHub App, which expires.
        """
        for trigger in self._cloud.triggers.all_of(self._me.org):
            if trigger.owner == self._me.user and _same(trigger.repository, url):
                if trigger.app:
                    lent = clone_address(self._cloud, self._me.org, trigger.name, url)
                    return lent, trigger.name
                token = trigger_token(self._cloud, self._me.org, trigger)
                if token is not None:
                    return with_token(url, trigger.provider, token), None
        known = _HOSTS.get(urlsplit(url).hostname or "")
        if known is None:
            return url, None
        # The commands of the launch get the same secrets.
        secrets = inject(self._cloud.vault, self._me.org, self._me.user).env
        return with_token(url, known, secrets.get(GIT_APIS[known].token_secret)), None


def _only_clones(image: ImageSpec) -> bool:
    """Return whether an image has no files but those of a repository."""
    files = (image.dockerfile, image.context, image.copy_dir)
    return image.copy_url is not None and not any(files) and image.install_npm is not True


def _same(one: str, other: str) -> bool:
    return _plain(one) == _plain(other)


def _plain(url: str) -> str:
    return url.rstrip("/").removesuffix(".git").casefold()
