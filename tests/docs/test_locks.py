"""The lock files hold what pyproject.toml asks for, and nothing of where they were made."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WANTED = PROJECT["project"]["dependencies"]
EXTRAS = PROJECT["project"]["optional-dependencies"]
WANTED_FOR_ALL = [wanted for name in ("s3", "smb") for wanted in EXTRAS[name]]
WANTED_FOR_TESTS = [wanted for name in EXTRAS if name != "all" for wanted in EXTRAS[name]]
BUILD = PROJECT["build-system"]["requires"]


def locked(name: str) -> dict[str, Requirement]:
    """The pins of a lock file, each with at least one hash."""
    text = (ROOT / name).read_text().replace("\\\n", " ")
    pins = {}
    for line in text.splitlines():
        pin, *hashes = line.split(" --hash=")
        assert hashes, line
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", each.strip()) for each in hashes), line
        requirement = Requirement(pin)
        pins[canonicalize_name(requirement.name)] = requirement
    return pins


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("requirements.lock", [*WANTED, *WANTED_FOR_ALL]),
        ("requirements-test.lock", [*WANTED, *WANTED_FOR_TESTS, *BUILD]),
    ],
)
def test_a_lock_fits_what_is_wanted(name: str, wanted: list[str]) -> None:
    """Each dependency is pinned to a version that is allowed."""
    pins = locked(name)
    for requirement in map(Requirement, wanted):
        (version,) = pins[canonicalize_name(requirement.name)].specifier
        assert version.operator == "=="
        assert version.version in requirement.specifier, requirement


def test_what_is_tested_is_what_runs() -> None:
    """Both locks pin the same versions."""
    tested = locked("requirements-test.lock")
    assert all(tested[name] == pin for name, pin in locked("requirements.lock").items())


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-test.lock"])
def test_a_lock_names_no_host(name: str) -> None:
    """It is installed from whatever registry pip is told to use."""
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert not re.search("^ *(-i|--(extra-)?index-url|--find-links|-f)", text, re.MULTILINE)
