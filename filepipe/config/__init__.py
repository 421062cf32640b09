"""The settings as one frozen value, and the four places they are read from."""

from filepipe.config.listen import PROTOCOLS, Listen
from filepipe.config.settings import Description, Settings, describe
from filepipe.config.sources import SECRETS_NAME, load_settings

__all__ = [
    "PROTOCOLS",
    "SECRETS_NAME",
    "Description",
    "Listen",
    "Settings",
    "describe",
    "load_settings",
]
