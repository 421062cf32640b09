"""From settings to places: each backend with its options, which are text."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from filepipe.config import Settings
from filepipe.upload_places import upload_places


def test_what_is_opened(tmp_path: Path) -> None:
    """The default and what is allowed besides; the folders are the daemon's own."""
    given: dict[str, Any] = {"storage_backend": "s3", "allowed_backends": "local"}
    places = upload_places(Settings(data_dir=tmp_path, **given))
    assert (places.default, places.needed) == ("s3", {"s3", "local"})
    assert places.shelves["local"].url == f"local:{tmp_path}/filepipe/uploads"
    folders = {place.folder for place in places.shelves.values()}
    assert len(folders) == len(places.shelves)
    assert all(folder.parent == tmp_path / "filepipe" for folder in folders)


def test_the_options_of_a_bucket() -> None:
    """Whatever characters they have."""
    given: dict[str, Any] = {
        "s3_bucket": "b", "s3_prefix": "a folder/ü?", "s3_endpoint": "http://h:1/p",
        "s3_region": "eu-1", "aws_access_key_id": "me", "aws_secret_access_key": "a+b/c=&d",
    }  # fmt: skip
    scheme, _, location = upload_places(Settings(**given)).shelves["s3"].url.partition(":")
    path, _, options = location.partition("?")
    assert (scheme, unquote(path)) == ("s3", "b/a folder/ü?")
    assert parse_qs(options, strict_parsing=True) == {
        "region": ["eu-1"], "endpoint": ["http://h:1/p"], "addressing": ["auto"],
        "checksums": ["when_required"], "downloads": ["proxied"],
        "account": ["me"], "secret": ["a+b/c=&d"],
    }  # fmt: skip


def test_the_options_of_a_share() -> None:
    """The names of the original; a path may be written as on Windows."""
    given: dict[str, Any] = {
        "smb_host": "nas", "smb_port": "4450", "smb_share": "a share", "smb_path": "\\a b\\ü?/",
        "smb_user": "D\\me", "smb_pass": "a+b/c=&d", "smb_security": "signed",
    }  # fmt: skip
    url = upload_places(Settings(**given)).shelves["smb"].url
    assert url == (
        "smb:nas:4450/a%20share/a%20b/%C3%BC%3F?user=D%5Cme&password=a%2Bb%2Fc%3D%26d"
        "&security=signed"
    )
    bare: dict[str, Any] = {"smb_host": "::1"}
    assert upload_places(Settings(**bare)).shelves["smb"].url == (
        "smb:[::1]:445/share?security=encrypted"
    )
