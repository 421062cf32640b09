"""The process: starts everything in order, listens to signals, goes down as `shutdown` says."""

from __future__ import annotations

import asyncio
import functools
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from filepipe import __version__, activation, logs
from filepipe.app import App, make_app
from filepipe.config import Settings
from filepipe.credentials import Credentials, find_or_make
from filepipe.listeners import Listener, close_all, open_all
from filepipe.logs import get_logger
from filepipe.notify import Notifier
from filepipe.private_folder import PrivateFolder

log = get_logger("filepipe.daemon")

LOG_DELAY = 0.05
"""Seconds for which lines of the log are gathered."""

CUT = 1.0
"""Seconds that handlers get to notice that they are cut; aiohttp waits for them twice."""


def run(settings: Settings) -> int:
    """Serve until a signal ends it; return the exit code.

    Raises `ConfigError` or OSError when the daemon cannot start.
    """
    logs.configure(settings.log_level, settings.log_format)
    _raise_file_limit()
    inherited = activation.inherited_sockets()
    folder = PrivateFolder(settings.data_dir)
    try:
        credentials = _credentials(settings, folder.path)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_serve(settings, inherited, credentials))
    finally:
        folder.close()


def _credentials(settings: Settings, private: Path) -> Credentials:
    given = (
        each.get_secret_value() if each else None
        for each in (settings.api_key, settings.jwt_secret, settings.webhook_secret)
    )
    return find_or_make(private, *given)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop  # noqa: PLC0415 - not to be had on every system

    return uvloop.new_event_loop


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError) as error:
            log.warning("cannot raise the limit of open files", limit=soft, reason=str(error))


async def _serve(
    settings: Settings, inherited: dict[str, list[Any]], credentials: Credentials
) -> int:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_log_loop_error)
    notifier = Notifier.from_environment()
    with logs.gathered(functools.partial(loop.call_later, LOG_DELAY)):
        async with make_app(settings, credentials) as app:
            _on_signals(app.shutdown.signal)
            listeners = await open_all(app, inherited)
            try:
                _announce(app, listeners, credentials)
                await _live(app, listeners, notifier)
            finally:
                close_all(listeners)
                await app.cut()
                await asyncio.gather(*(listener.server.shutdown(CUT) for listener in listeners))
        _ignore_signals()
        log.info("stopped")
    return 0


async def _live(app: App, listeners: Sequence[Listener], notifier: Notifier) -> None:
    """Serve until everything is drained, or is to be cut."""
    notifier.ready(f"serving on {', '.join(_addresses(listeners))}")
    watchdog = asyncio.create_task(_feed_watchdog(notifier, app))
    try:
        await _wait_for_end(app, notifier)
    finally:
        watchdog.cancel()


async def _wait_for_end(app: App, notifier: Notifier) -> None:
    await app.shutdown.asked()
    notifier.stopping()
    app.drain()
    await asyncio.sleep(0)  # who waited is told before an idle daemon closes its connections
    busy = app.shutdown.busy()
    log.info("draining", busy=busy, seconds=app.settings.drain_timeout)
    notifier.status(f"draining {busy} transfers")
    left = await app.shutdown.drained()
    if left:
        log.warning("cut", transfers=left)


def _on_signals(act: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, act)


def _ignore_signals() -> None:
    """Nothing is left to end: a signal that still comes must not become the exit status."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)


def _announce(app: App, listeners: Sequence[Listener], credentials: Credentials) -> None:
    """Say where we listen, and plainly what is open to whom; of a secret only where it is."""
    settings = app.settings
    for listener in listeners:
        for address in listener.addresses:
            log.info(
                "listening",
                version=__version__,
                address=address,
                scheme=listener.listen.scheme,
                protocol=listener.listen.protocol,
                open_to=listener.open_to,
                **_rights(listener.listen.protocol, settings),
            )
    log.info(
        "limits",
        memory=settings.max_memory,
        disk=settings.max_disk,
        spill_threshold=settings.spill_threshold,
        data_dir=str(settings.data_dir),
        forwarding=list(settings.forward_allow) or "off",
        webhooks=list(settings.webhook_allow) or "off",
    )
    kept = app.service.logs
    log.info("logs", count=len(list(kept)), damaged=kept.damaged)
    places = {name: str(path) for name, path in credentials.places.items()}
    log.info(
        "uploads",
        database=str(settings.database_path),
        key_in=places.get("api_key", settings.source_of("api_key")),
        signed_by=places.get("jwt_secret", settings.source_of("jwt_secret")),
        webhooks_signed_by=places.get("webhook_secret", settings.source_of("webhook_secret")),
    )


def _rights(protocol: str, settings: Settings) -> dict[str, str]:
    """What everybody may do who reaches a listener of this protocol, in words."""
    uploads = "every upload, with a credential"
    everything = {
        "auto": "every key and channel, without a token",
        "httpipe": "every channel, without a token",
        "streams": "every stream, without a token",
        "uploads": uploads,
        "files": uploads,
    }.get(protocol, "every key, without a token")
    channels = "every channel, without a token"
    deleting = {
        "auto": everything if settings.allow_delete else channels,
        "streams": everything if settings.allow_delete else "nobody",
        "httpipe": channels,
        "uploads": uploads,
        "files": uploads,
    }
    listing = "everybody" if settings.dashboard == "keys" else "callers on this machine"
    return {
        "reading": everything,
        "writing": everything,
        "deleting": deleting.get(protocol, "nobody"),
        "listing": "everybody" if protocol == "httpipe" else listing,
    }


def _addresses(listeners: Sequence[Listener]) -> list[str]:
    return [address for listener in listeners for address in listener.addresses]


async def _feed_watchdog(notifier: Notifier, app: App) -> None:
    """Tell the service manager that the event loop turns, and what it does."""
    interval = notifier.watchdog_interval
    while True:
        await asyncio.sleep(interval or 10.0)
        notifier.watchdog()
        directory = app.service.directory
        notifier.status(
            f"{app.shutdown.phase.value}: {len(directory)} keys, {directory.waiting} waiting"
        )


def _log_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """One bounded line for what nobody awaited, such as accepting without a free descriptor."""
    log.error("event loop", reason=context.get("message"), exc_info=context.get("exception"))
