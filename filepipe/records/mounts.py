"""Whether a path lies on a file system of another machine, by what Linux says of its mounts."""

from __future__ import annotations

import re
from pathlib import Path

MOUNTINFO = Path("/proc/self/mountinfo")

REMOTE = frozenset(
    {
        "9p", "afs", "beegfs", "ceph", "cifs", "davfs", "glusterfs", "gpfs", "lustre", "ncpfs",
        "nfs", "nfs4", "orangefs", "smb3", "smbfs",
        "fuse.ceph", "fuse.davfs2", "fuse.glusterfs", "fuse.juicefs", "fuse.rclone", "fuse.s3fs",
        "fuse.sshfs",
    }
)  # fmt: skip
"""File systems whose locks, or whose fsync, promise less than SQLite needs."""

_OCTAL = re.compile(r"\\([0-7]{3})")


def read_mountinfo() -> str:
    """What Linux says of our mounts (proc(5)); "" where there is no such file."""
    try:
        return MOUNTINFO.read_text(errors="surrogateescape")
    except OSError:
        return ""


def remote_type(path: Path, mountinfo: str) -> str | None:
    """The type of the file system of `path`, which is absolute, if it is one of `REMOTE`."""
    longest, found = -1, ""
    for line in mountinfo.splitlines():
        mount, _, source = line.partition(" - ")
        fields = mount.split(" ")
        if len(fields) < 5 or not source:
            continue
        # Spaces, tabs, newlines and backslashes are written as octal numbers.
        point = Path(_OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[4]))
        # Of two on the same point the later one covers the other.
        if path.is_relative_to(point) and len(point.parts) >= longest:
            longest, found = len(point.parts), source.split(" ")[0]
    return found if found in REMOTE else None
