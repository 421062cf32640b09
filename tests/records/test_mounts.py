"""Which mounts are another machine's."""

from __future__ import annotations

from pathlib import Path

import pytest

from filepipe.records.mounts import read_mountinfo, remote_type

TABLE = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw
23 22 0:5 / /proc rw - proc proc rw
40 22 0:41 / /srv/nas rw,relatime shared:2 master:1 - nfs4 nas:/export rw,vers=4.2
41 40 8:2 / /srv/nas/local rw - ext4 /dev/sda2 rw
42 22 0:42 / /srv/with\040space rw - cifs //nas/share rw
43 22 0:43 / /srv/twice rw - nfs nas:/b rw
44 43 8:3 / /srv/twice rw - xfs /dev/sda3 rw
45 22 0:44 / /home/me/remote rw - fuse.sshfs me@there: rw
a line that nobody understands
46 22 0:45 / /srv/odd rw - 9p
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/var/lib/filepipe/uploads.db", None),
        ("/srv/nas", "nfs4"),
        ("/srv/nas/deep/er/uploads.db", "nfs4"),
        ("/srv/nas-not/uploads.db", None),
        ("/srv/nas/local/uploads.db", None),
        ("/srv/with space/uploads.db", "cifs"),
        ("/srv/twice/uploads.db", None),
        ("/home/me/remote/uploads.db", "fuse.sshfs"),
        ("/srv/odd/uploads.db", "9p"),
    ],
)
def test_the_mount_with_the_longest_path_decides(path: str, expected: str | None) -> None:
    """Folder by folder, and of two mounts on one folder the one that covers the other."""
    assert expected == remote_type(Path(path), TABLE)


def test_where_nothing_is_known_nothing_is_refused() -> None:
    """macOS has no such table."""
    assert remote_type(Path("/x"), "") is None


def test_the_table_of_this_machine_can_be_read() -> None:
    """Wherever the tests run, their source is on some mount, or there is no table."""
    table = read_mountinfo()
    assert not table or " / " in table
