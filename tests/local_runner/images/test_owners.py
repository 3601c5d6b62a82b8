"""The owner of code that is copied into an image."""

import pytest

from conducto_local.engine.port import ImageError
from conducto_local.images import builder as owners

PASSWD = b"root:x:0:0:root:/root:/bin/sh\napp:x:1234:5678::/:/bin/sh\nbad line\n"
GROUP = b"root:x:0:\nstaff:x:50:app\n"


class Image:
    """Files of an image."""

    def __init__(self, *, has_files: bool = True) -> None:
        self.files = {"/etc/passwd": PASSWD, "/etc/group": GROUP} if has_files else {}

    async def read_file(self, _container: str, path: str) -> bytes | None:
        return self.files.get(path)


@pytest.mark.parametrize(
    ("user", "owner"),
    [
        ("", (0, 0)),
        ("root", (0, 0)),
        ("0:0", (0, 0)),
        ("app", (1234, 5678)),
        ("1234", (1234, 5678)),
        ("77", (77, 0)),
        ("77:88", (77, 88)),
        ("app:staff", (1234, 50)),
        ("77:staff", (77, 50)),
        ("app:9", (1234, 9)),
    ],
)
async def test_owner_is_the_user_of_the_image(user: str, owner: tuple[int, int]) -> None:
    assert await owners.find(Image(), "c", user) == owner


@pytest.mark.parametrize("user", ["nobody", "app:nogroup", "77:nogroup"])
async def test_unknown_user_is_an_error(user: str) -> None:
    with pytest.raises(ImageError, match=f"USER {user}: the image has no such user or group"):
        await owners.find(Image(), "c", user)


async def test_image_without_user_files_takes_numbers() -> None:
    assert await owners.find(Image(has_files=False), "c", "77") == (77, 0)
