"""From settings to the places of uploads: each backend as `scheme:location`."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, urlencode

from filepipe.config import Settings
from filepipe.upload_service import ShelfPlace, UploadPlaces


def upload_places(settings: Settings) -> UploadPlaces:
    """Where the settings say that uploads are kept."""
    private = settings.data_dir / "filepipe"
    default = settings.storage_backend
    return UploadPlaces(
        settings.database_path,
        {
            "local": ShelfPlace(f"local:{_folder(settings, private)}", private / "parts"),
            "s3": ShelfPlace(f"s3:{_bucket(settings)}", private / "s3"),
        },
        default,
        frozenset({default, *settings.allowed_backends}),
    )


def _folder(settings: Settings, private: Path) -> Path:
    return settings.local_storage_path or private / "uploads"


def _bucket(settings: Settings) -> str:
    """The location of the bucket, with its options; it holds a secret, so it is shown nowhere."""
    account, secret = settings.aws_access_key_id, settings.aws_secret_access_key
    options = {
        "region": settings.s3_region,
        "endpoint": settings.s3_endpoint,
        "addressing": settings.s3_addressing,
        "checksums": settings.s3_checksums,
        "downloads": settings.s3_downloads,
        "account": account and account.get_secret_value(),
        "secret": secret and secret.get_secret_value(),
    }
    given = {name: value for name, value in options.items() if value}
    return f"{quote(settings.s3_bucket)}/{quote(settings.s3_prefix)}?{urlencode(given)}"
