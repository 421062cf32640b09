"""What every front needs to serve a request; built once by `filepipe.app`."""

from __future__ import annotations

from dataclasses import dataclass

from filepipe.channels.offset_uploads import OffsetUploads
from filepipe.service import Service
from filepipe.shutdown import Shutdown
from filepipe.web.dashboard import Dashboard
from filepipe.web.direct import Direct
from filepipe.web.forward import Forwarder
from filepipe.web.live import Handover
from filepipe.web.pumps import Pumps


@dataclass(frozen=True, slots=True)
class PipeRules:
    """What the settings say of transfers; durations in seconds, sizes in bytes."""

    wait: float
    max_wait: float
    retention: float
    resume_window: float
    max_retention: float
    allow_delete: bool
    public_url: str | None
    spill_threshold: int
    max_receivers: int
    piping_wait: float
    request_timeout: float | None
    heartbeat: float
    log_ttl: float | None
    max_message: int


@dataclass(frozen=True, slots=True)
class Context:
    """The parts of the daemon that answer requests."""

    service: Service
    pumps: Pumps
    handover: Handover
    direct: Direct
    forwarder: Forwarder
    shutdown: Shutdown
    dashboard: Dashboard
    rules: PipeRules
    offsets: OffsetUploads
