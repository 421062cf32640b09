"""The settings as one frozen value, and the four places they are read from."""

from filepipe.config.description import Description, describe
from filepipe.config.listen import PROTOCOLS, Listen
from filepipe.config.settings import Settings
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
