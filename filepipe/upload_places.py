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
            "smb": ShelfPlace(f"smb:{_share(settings)}", private / "smb"),
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


def _share(settings: Settings) -> str:
    """The location of the share; it holds a password, so it is shown nowhere."""
    password = settings.smb_pass
    options = {
        "user": settings.smb_user,
        "password": password and password.get_secret_value(),
        "security": settings.smb_security,
    }
    given = {name: value for name, value in options.items() if value}
    host = f"[{settings.smb_host}]" if ":" in settings.smb_host else quote(settings.smb_host, "")
    folder = settings.smb_path.replace("\\", "/").strip("/")
    place = "/".join(quote(part, "") for part in (settings.smb_share, *folder.split("/")) if part)
    return f"{host}:{settings.smb_port}/{place}?{urlencode(given)}"
