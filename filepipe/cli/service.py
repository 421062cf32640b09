"""`filepipe service`: write, enable and look after the unit of this system's service manager.

Exit status: 0 done, 1 the system refuses, 2 a wrong setting, 3 (`status`) it does not run.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from filepipe.cli.main import ConfigFile, fail
from filepipe.cli.supervisors import ServiceError, supervisor
from filepipe.errors import ConfigError

if TYPE_CHECKING:
    from filepipe.units import Installation

app = App(name="service", help="Run filepipe as a service of this system.")

User = Annotated[
    bool, Parameter(negative=(), help="The service of this user alone, also when run by root.")
]


@app.command
def install(
    *,
    user: User = False,
    config: ConfigFile = None,
    now: Annotated[
        bool, Parameter(help="Start it, or restart it, at once; else with the system or at login.")
    ] = True,
    dry_run: Annotated[
        bool, Parameter(negative=(), help="Only print what would be written.")
    ] = False,
) -> None:
    """Write the service's unit, enable it and start it.

    Run by root it is a service of the system, otherwise one of the user who runs it.
    """
    try:
        target = supervisor(system=_is_root() and not user)
        facts = _installation(config)
        unit = target.render(facts)
        if dry_run:
            print(f"Would write {target.path}:", file=sys.stderr)
            print(unit, end="")
            return
        for sentence in target.install(unit, facts, now=now):
            print(sentence)
    except ServiceError as error:
        fail(str(error))


@app.command
def uninstall(*, user: User = False) -> None:
    """Stop the service, disable it and remove its unit; what it stored stays."""
    try:
        target = supervisor(system=_is_root() and not user)
        if not target.path.exists():
            fail(f"There is nothing to remove: {target.path} does not exist.")
        target.uninstall()
        print(f"Removed {target.path}; what the service stored is still there.")
    except ServiceError as error:
        fail(str(error))


@app.command
def status(*, user: User = False) -> None:
    """Say in one line whether the service is installed and runs."""
    try:
        target = supervisor(system=_is_root() and not user)
        everybodys = supervisor(system=True)
        if not user and not target.path.exists() and everybodys.path.exists():
            target = everybodys
        if not target.path.exists():
            fail(f"The service is not installed: {target.path} does not exist.")
        runs, sentence = target.status()
    except ServiceError as error:
        fail(str(error))
    print(sentence)
    raise SystemExit(0 if runs else 3)


def _is_root() -> bool:
    return os.geteuid() == 0


def _installation(config: Path | None) -> Installation:
    """Look at the program that runs now and at the settings that the service will have."""
    from filepipe.config import SECRETS_NAME, Settings, load_settings
    from filepipe.units import Installation

    settings = load_settings(config=config)
    origins = {name: settings.source_of(name) for name in Settings.model_fields}
    for origin in origins.values():
        if origin.startswith(("environment ", ".env ")):
            raise ConfigError(
                f"A service does not see {origin}: write that setting into a file"
                " and name it with --config."
            )
    files = {Path(origin) for origin in origins.values() if origin != "default"}
    secrets = next((file for file in files if file.name == SECRETS_NAME), None)
    file = config or next((file for file in files if file != secrets), None)
    paths = [] if origins["data_dir"] == "default" else [settings.data_dir / "filepipe"]
    if origins["database_path"] != "default":
        paths.append(settings.database_path.parent)
    paths += [] if settings.httpfstream_root is None else [settings.httpfstream_root]
    location = Path(settings.storage.partition(":")[2])
    cert, key = settings.tls_cert, settings.tls_key
    return Installation(
        program=_program(),
        config=file.expanduser().absolute() if file else None,
        secrets=secrets.absolute() if secrets else None,
        tls=(cert, key) if cert and key else None,
        storage_paths=(*paths, *([location] if location.is_absolute() else [])),
        program_paths=program_paths(),
        max_memory=settings.max_memory,
        drain_timeout=settings.drain_timeout,
    )


def _program() -> tuple[str, ...]:
    started = Path(sys.argv[0])
    if started.name == "filepipe" and started.is_file():
        return (str(started.resolve()),)
    return (sys.executable, "-m", "filepipe")


def program_paths() -> tuple[Path, ...]:
    """Name the folders that the program is made of: its environment, its Python, its source."""
    import filepipe

    folders = {
        Path(sys.prefix),
        Path(sys.base_prefix),
        Path(sys.executable).resolve().parents[1],
        Path(filepipe.__file__).resolve().parents[1],
    }
    return tuple(sorted(path for path in folders if not folders.intersection(path.parents)))
