"""Every setting: its value, its names, its default as people write it, and its meaning.

What is written here once is read by the flags of `serve`, by `config show|init` and by the tests
that hold `docs/reference/settings.md` complete.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PlainValidator, PrivateAttr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from filepipe.config import folders, values
from filepipe.config.backends import BackendSettings
from filepipe.config.declaration import Names, choice, setting
from filepipe.config.listen import PROTOCOLS, Listen, Scheme

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "console", "json"]
Dashboard = Literal["keys", "counts", "off"]
Chunks = Literal["balanced", "fixed"]
UploadNames = Literal["unique", "overwrite"]
Interim = Literal["auto", "always", "never"]


def _listen(value: object) -> tuple[str, ...]:
    addresses = values.words(value)
    if not addresses:
        raise ValueError("names no address")
    for address in addresses:
        Listen.parse(address)
    return addresses


class Settings(BackendSettings):
    """All settings of the daemon, read once and never changed.

    Building one reads no environment and no file; `load_settings` does.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    listen: Annotated[
        tuple[str, ...],
        PlainValidator(_listen),
        Names("-l", ("LISTEN", "SERVER_PORT", "PORT"), default="0.0.0.0:3000"),
    ] = setting(
        ("0.0.0.0:3000",),
        "Address to listen on: HOST:PORT, [IPV6]:PORT, :PORT for every interface, unix:PATH or "
        "fd:NAME, with http:// or https:// before it and =PROTOCOL after it if wanted; repeatable.",
    )
    protocol: Annotated[str, choice(*PROTOCOLS), Names()] = setting(
        "auto",
        f"Protocol of listeners that name none: {', '.join(PROTOCOLS[:-1])} or {PROTOCOLS[-1]}.",
    )
    data_dir: Annotated[
        values.Folder,
        Names(
            "-d",
            ("DATA_DIR",),
            default="$STATE_DIRECTORY, else $XDG_STATE_HOME/filepipe, else ~/.local/state/filepipe",
        ),
    ] = Field(
        default_factory=folders.state_directory,
        description="Folder in which the daemon makes its own private folder filepipe/.",
        validate_default=True,
    )
    storage: Annotated[values.StorageUrl, Names()] = setting(
        "file:",
        "Where bytes beyond memory go, as SCHEME:LOCATION; without a location it is "
        "DATA_DIR/filepipe/spill.",
    )
    max_memory: Annotated[values.Limit, Names("-M", ("MAX_MEMORY",))] = setting(
        "256 MiB", "Bytes of all bodies together that memory may hold, or unlimited."
    )
    max_disk: Annotated[
        int | None,
        PlainValidator(folders.max_disk),
        Names("-D", ("MAX_DISK",), default="auto: 90 % of what is free in DATA_DIR at start"),
    ] = setting("auto", "Bytes of all bodies together that the storage may hold, or unlimited.")
    spill_threshold: Annotated[values.Size, Names("-s", ("SPILL_THRESHOLD",))] = setting(
        "1 MiB", "Bytes of one body that stay in memory; beyond them it moves to the storage."
    )
    max_body_size: Annotated[values.Limit, Names()] = setting(
        "unlimited", "Bytes that one body may have, or unlimited."
    )
    max_message_size: Annotated[values.Size, Names()] = setting(
        "16 MiB",
        "Bytes that one message of a WebSocket may have, and memory hold of it until it is whole.",
    )
    max_keys: Annotated[values.Count, Names()] = setting(
        10000, "Keys that may exist at the same time, and also readers that may wait for one."
    )
    max_connections: Annotated[
        values.CountOrAuto, Names(default="auto: what the limit of open files allows")
    ] = setting("auto", "Connections that may be open at the same time.")
    wait: Annotated[values.Duration, Names()] = setting(
        "60 seconds",
        "How long a GET waits for its writer, and a sender for its receivers (auto, beam); the "
        "protocol file-pipe has its own 5 seconds.",
    )
    max_wait: Annotated[values.Duration, Names()] = setting(
        "1 hour", "The longest wait that a request may ask for with ?wait= or Prefer."
    )
    piping_wait: Annotated[values.Timeout, Names()] = setting(
        "24 hours", "How long senders and receivers wait for each other at most (piping)."
    )
    request_timeout: Annotated[values.TimeLimit, Names("-r", ("REQUEST_TIMEOUT",))] = setting(
        "unlimited",
        "How long producers and consumers of a channel wait for each other (httpipe), or "
        "unlimited.",
    )
    heartbeat: Annotated[values.Duration, Names()] = setting(
        "0 seconds",
        "Time between the lines that a sender gets while it waits, lest a proxy cuts it off "
        "(piping); 0 for no such lines.",
    )
    max_receivers: Annotated[values.Count, Names()] = setting(
        64, "The most receivers that one sender may ask for with ?n=."
    )
    chunk_size_mb: Annotated[values.Count, Names("", ("CHUNK_SIZE_MB",))] = setting(
        50, "The most MiB of one part of an upload."
    )
    chunk_sizes: Annotated[Chunks, choice("balanced", "fixed"), Names()] = setting(
        "balanced",
        "Whether the parts of an upload are all of one size below the most (balanced), or each is "
        "as large as it may be (fixed); the last one is as small as it is.",
    )
    upload_names: Annotated[UploadNames, choice("unique", "overwrite"), Names()] = setting(
        "unique",
        "Whether an upload whose name is taken gets another one (unique) or replaces what is there "
        "(overwrite); a request may say otherwise.",
    )
    upload_ttl_hours: Annotated[values.Hours, Names("", ("UPLOAD_TTL_HOURS",))] = setting(
        24, "Hours after which an upload is removed that nobody has gone on with."
    )
    complete_wait: Annotated[values.Duration, Names("", ("COMPLETE_WAIT",))] = setting(
        "20 seconds", "How long completing an upload may wait for its end before it answers 202."
    )
    max_finalizing: Annotated[values.Count, Names("", ("MAX_CONCURRENT_FINALIZATIONS",))] = setting(
        4, "Uploads that may be finished at the same time."
    )
    max_upload_size: Annotated[values.Limit, Names()] = setting(
        "unlimited", "Bytes that one upload may have, or unlimited."
    )
    max_uploads: Annotated[values.Count, Names()] = setting(
        1000, "Uploads that one caller may have begun and not completed."
    )
    interim_answers: Annotated[Interim, choice("auto", "always", "never"), Names()] = setting(
        "auto",
        "Whether the sender of a resumable upload is told while it sends (status 104) where to go "
        "on: unless a proxy shows itself, since many break on it (auto), always, or never.",
    )
    retention: Annotated[values.Duration, Names()] = setting(
        "60 seconds",
        "How long a body is kept after its end or after its last reader left, whichever is later.",
    )
    resume_window: Annotated[values.Duration, Names()] = setting(
        "60 seconds",
        "How long the readers of a pipe that began with Content-Range wait for a sender who lost "
        "the connection.",
    )
    max_retention: Annotated[values.Duration, Names()] = setting(
        "1 hour", "The longest retention that a request may ask for with ?max-age=."
    )
    log_ttl: Annotated[values.TimeLimit, Names()] = setting(
        "unlimited",
        "How long a log lives after its last byte, or unlimited; who makes it may say otherwise "
        "with ?ttl=.",
    )
    httpfstream_root: Annotated[values.OptionalFolder, Names(default="none")] = setting(
        None,
        "Folder in which each log is a plain file, at the path that is its key; without it their "
        "names are hashes, in DATA_DIR/filepipe/logs.",
    )
    allow_delete: Annotated[values.Switch, Names()] = setting(
        default=False, meaning="Let DELETE remove a key; a channel can always be removed."
    )
    forward_allow: Annotated[values.Targets, Names("", ("FORWARD_ALLOW",), default="none")] = (
        setting(
            (),
            "Host name, address or CIDR to which X-Forward-Url may lead, or * for any; repeatable.",
        )
    )
    forward_stall: Annotated[values.Timeout, Names()] = setting(
        "30 seconds", "How long the target of X-Forward-Url may take no byte."
    )
    webhook_allow: Annotated[values.Targets, Names("", ("WEBHOOK_ALLOW",), default="none")] = (
        setting(
            (),
            "Host name, address or CIDR to which the webhook_url of an upload may lead, or * for "
            "any; repeatable.",
        )
    )
    head_timeout: Annotated[values.Timeout, Names()] = setting(
        "10 seconds", "How long a client may take to send the head of a request."
    )
    keepalive_timeout: Annotated[values.Duration, Names()] = setting(
        "30 seconds", "How long a connection may wait for its next request."
    )
    idle_timeout: Annotated[values.Timeout, Names()] = setting(
        "24 hours", "How long the writer of a live key may send no byte."
    )
    stall_timeout: Annotated[values.Timeout, Names()] = setting(
        "15 minutes", "How long a reader of a live key may take no byte."
    )
    download_stall: Annotated[values.Timeout, Names()] = setting(
        "60 seconds", "How long a reader of a finished body may take no byte."
    )
    drain_timeout: Annotated[values.Duration, Names()] = setting(
        "30 seconds", "How long running transfers may go on after the first SIGTERM or SIGINT."
    )
    public_url: Annotated[values.BaseUrl, Names(default="what the request was sent to")] = setting(
        None, "Base of the URLs that a PUT is answered with."
    )
    tls_cert: Annotated[values.ReadableFile, Names(default="none")] = setting(
        None,
        "Certificate chain, as PEM, of the https listeners: those with https:// before them, or if "
        "there are none, every HOST:PORT without http://; read again when it changes.",
    )
    tls_key: Annotated[values.ReadableFile, Names(default="none")] = setting(
        None, "Private key of the certificate, as PEM; read again when it changes."
    )
    api_key: Annotated[
        values.HeaderSecret, Names("", ("API_KEY",), default="made at the first start")
    ] = setting(None, "Key of those who may make and manage uploads (X-API-Key), 32 bytes or more.")
    jwt_secret: Annotated[
        values.Secret, Names("", ("JWT_SECRET",), default="made at the first start")
    ] = setting(None, "Secret with which the tokens of upload parts are signed, 32 bytes or more.")
    webhook_secret: Annotated[
        values.Secret, Names("", ("WEBHOOK_SECRET",), default="made at the first start")
    ] = setting(None, "Secret with which webhooks are signed, 32 bytes or more.")
    database_path: Annotated[
        Path,
        PlainValidator(folders.database_path),
        Names("", ("DATABASE_PATH",), default="DATA_DIR/filepipe/uploads.db"),
    ] = setting("", "Database of the uploads, a file on a local disk in a folder that exists.")
    dashboard: Annotated[Dashboard, choice("keys", "counts", "off"), Names()] = setting(
        "counts",
        "What callers elsewhere see at / and /state: what goes on with its keys (keys) or without "
        "them (counts), or totals only (off). Callers on this machine see everything.",
    )
    relay: Annotated[values.Switch, Names()] = setting(
        default=True, meaning="Let the kernel move large bodies, where it can (Linux)."
    )
    log_level: Annotated[LogLevel, choice("debug", "info", "warning", "error"), Names()] = setting(
        "info", "The least level that is logged: debug, info, warning or error."
    )
    log_format: Annotated[LogFormat, choice("auto", "console", "json"), Names()] = setting(
        "auto", "Lines for people (console), for machines (json), or console on a terminal (auto)."
    )

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            missing, given = ("tls_cert", "tls_key") if self.tls_key else ("tls_key", "tls_cert")
            raise ValueError(f"{missing}: is missing, {given} alone is of no use")
        for listener in self.listeners():
            if listener.scheme == "https" and self.tls_cert is None:
                raise ValueError(
                    f"listen: https://{listener.address} needs the settings tls_cert and tls_key"
                )
        return self

    def listeners(self) -> tuple[Listen, ...]:
        """Name the addresses to listen on, each with its protocol and scheme.

        A certificate is for those written with https://, or else for each HOST:PORT that names no
        scheme.
        """
        chosen = any(text.startswith("https://") for text in self.listen)
        bare: Scheme = "https" if self.tls_cert and not chosen else "http"
        return tuple(Listen.parse(text, self.protocol, bare) for text in self.listen)

    def source_of(self, name: str) -> str:
        """Where the value of the setting `name` comes from, in words."""
        return self._origins.get(name, "default")

    def remember_sources(self, origins: Mapping[str, str]) -> None:
        """Note where values came from; for `load_settings` only."""
        self._origins.update(origins)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is passed in; `load_settings` hands over its own sources."""
        return (init_settings,)
