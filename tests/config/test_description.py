"""What is shown of the settings."""

from __future__ import annotations

from filepipe.config import Settings, describe


def test_every_setting_is_described() -> None:
    """Each has a flag, unless it is secret, a variable of its own, a default and a sentence."""
    described = {item.name: item for item in describe()}
    assert sorted(Settings.model_fields) == sorted(described)
    for name, item in described.items():
        assert f"FILEPIPE_{name.upper()}" == item.variables[0]
        assert bool(item.flag) == (not item.hidden)
        assert item.default
        assert item.meaning.endswith(".")


def test_the_kinds_of_settings() -> None:
    """What a flag or a file looks like follows from the kind."""
    kinds = {item.name: item.kind for item in describe()}
    names = ("relay", "listen", "max_disk", "wait", "max_keys", "storage", "api_key", "jwt_secret")
    expected = ["switch", "list", "size", "duration", "number", "text", "secret", "secret"]
    assert expected == [kinds[name] for name in names]


def test_short_flags_and_variables_are_those_of_the_originals() -> None:
    """Whoever comes from there changes nothing."""
    short = {item.short: item.variables[1] for item in describe() if item.short}
    expected = {
        "-l": "LISTEN", "-d": "DATA_DIR", "-M": "MAX_MEMORY", "-D": "MAX_DISK",
        "-s": "SPILL_THRESHOLD", "-r": "REQUEST_TIMEOUT",
    }  # fmt: skip
    assert expected == short
