"""The settings of where finished uploads are kept: which backend, and each backend's own."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic_settings import BaseSettings

from filepipe.config import values
from filepipe.config.declaration import Names, choice, choices, setting

BACKENDS: Final = ("local", "s3", "smb")
"""What keeps uploads."""

Addressing = Literal["auto", "path", "virtual"]
Checksums = Literal["when_required", "when_supported"]
Downloads = Literal["proxied", "redirect"]
Security = Literal["encrypted", "signed"]


class BackendSettings(BaseSettings):
    """The part of the settings that only backends of uploads need."""

    storage_backend: Annotated[str, choice(*BACKENDS), Names("", ("STORAGE_BACKEND",))] = setting(
        "local", f"Backend in which uploads are kept: {', '.join(BACKENDS[:-1])} or {BACKENDS[-1]}."
    )
    allowed_backends: Annotated[
        tuple[str, ...], choices(*BACKENDS), Names(default="storage_backend alone")
    ] = setting((), "Backend that the `storage` of an upload may name; repeatable.")
    local_storage_path: Annotated[
        values.OptionalFolder,
        Names("", ("LOCAL_STORAGE_PATH",), default="DATA_DIR/filepipe/uploads"),
    ] = setting("", "Folder in which finished uploads get their names (local).")
    s3_bucket: Annotated[values.Line, Names("", ("S3_BUCKET",))] = setting(
        "uploads", "Bucket in which uploads are kept (s3)."
    )
    s3_prefix: Annotated[values.Line, Names("", ("S3_PREFIX",), default="none")] = setting(
        "", "Folder of that bucket in which they are (s3)."
    )
    s3_region: Annotated[
        values.Line, Names("", ("S3_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"))
    ] = setting("us-east-1", "Region of the bucket (s3).")
    s3_endpoint: Annotated[values.BaseUrl, Names("", ("S3_ENDPOINT",), default="Amazon's")] = (
        setting(None, "URL of the server, where it is not Amazon's (s3).")
    )
    s3_addressing: Annotated[
        Addressing, choice("auto", "path", "virtual"), Names("", ("S3_ADDRESSING",))
    ] = setting(
        "auto",
        "Whether the bucket is named in the path or in the host name (virtual); auto is path where "
        "s3_endpoint is given (s3).",
    )
    s3_checksums: Annotated[
        Checksums, choice("when_required", "when_supported"), Names("", ("S3_CHECKSUMS",))
    ] = setting(
        "when_required",
        "Whether requests carry checksums that not every server knows (when_supported), or only "
        "where they must (s3).",
    )
    s3_downloads: Annotated[
        Downloads, choice("proxied", "redirect"), Names("", ("S3_DOWNLOADS",))
    ] = setting(
        "proxied",
        "Whether a finished upload is read through filepipe, or the reader is sent to the server "
        "with a URL that is signed for an hour (s3).",
    )
    aws_access_key_id: Annotated[
        values.Password, Names("", ("AWS_ACCESS_KEY_ID",), default="what Amazon's tools find")
    ] = setting(None, "Name of the account at the server (s3).")
    aws_secret_access_key: Annotated[
        values.Password, Names("", ("AWS_SECRET_ACCESS_KEY",), default="what Amazon's tools find")
    ] = setting(None, "Secret of that account (s3).")
    smb_host: Annotated[values.Line, Names("", ("SMB_HOST",))] = setting(
        "localhost", "Host of the share in which uploads are kept (smb)."
    )
    smb_port: Annotated[values.Count, Names("", ("SMB_PORT",))] = setting(445, "Its port (smb).")
    smb_share: Annotated[values.Line, Names("", ("SMB_SHARE",))] = setting(
        "share", "Name of the share (smb)."
    )
    smb_path: Annotated[values.Line, Names("", ("SMB_PATH",), default="none")] = setting(
        "", "Folder of the share in which finished uploads get their names (smb)."
    )
    smb_user: Annotated[values.Line, Names("", ("SMB_USER",), default="none")] = setting(
        "", "Account at that host: user, DOMAIN\\user or user@domain; smb cannot do without (smb)."
    )
    smb_pass: Annotated[values.Password, Names("", ("SMB_PASS",), default="none")] = setting(
        None, "Password of that account (smb)."
    )
    smb_security: Annotated[
        Security, choice("encrypted", "signed"), Names("", ("SMB_SECURITY",))
    ] = setting(
        "encrypted",
        "Whether bytes are encrypted on their way, or signed only, which is less work (smb).",
    )
