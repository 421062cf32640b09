"""What one who uploads may have."""

from __future__ import annotations

import pytest

from filepipe.errors import Forbidden
from filepipe.protocols.forwarding import ForwardRules
from filepipe.storage.interface import Traits
from filepipe.web.upload_access import UploadAccess

MIB = 1024 * 1024
NONE = ForwardRules.parse(())
ACCESS = UploadAccess(b"", b"", 8 * MIB, True, True, "s3", frozenset({"s3", "local"}), NONE)


def test_the_storage_that_is_named() -> None:
    """One that is allowed, or the default."""
    assert [ACCESS.storage_of(name) for name in (None, "s3", "local")] == ["s3", "s3", "local"]
    for name in ("smb", "", "S3"):
        with pytest.raises(Forbidden, match="this storage is not allowed here"):
            ACCESS.storage_of(name)


def test_parts_that_the_storage_takes() -> None:
    """Balanced, unless they got too small."""
    local = Traits(live=True, smallest_part=0, largest_part=2**33, local_disk=True)
    remote = Traits(live=False, smallest_part=5 * MIB, largest_part=2**33, local_disk=False)
    sizes = [ACCESS.plan(9 * MIB, traits).chunk_size for traits in (local, remote)]
    assert sizes == [9 * MIB // 2, 5 * MIB]
    narrow = Traits(live=False, smallest_part=0, largest_part=3 * MIB, local_disk=False)
    assert ACCESS.plan(9 * MIB, narrow).count == 3
