"""The settings as one frozen value, and the four places they are read from."""

from filepipe.config.listen import PROTOCOLS, Listen
from filepipe.config.settings import Description, Settings, describe
from filepipe.config.sources import load_settings

__all__ = ["PROTOCOLS", "Description", "Listen", "Settings", "describe", "load_settings"]
