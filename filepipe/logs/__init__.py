"""What the daemon says: one line for each event, to stderr, with nothing in it that is secret."""

from filepipe.logs.limiter import LogLimiter
from filepipe.logs.requests import log_request
from filepipe.logs.setup import configure, gathered, get_logger

__all__ = ["LogLimiter", "configure", "gathered", "get_logger", "log_request"]
