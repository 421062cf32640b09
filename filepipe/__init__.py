"""filepipe: a daemon that moves bytes between anyone who has curl, live while they upload."""

__version__ = "0.1.0"
