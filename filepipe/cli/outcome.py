"""How a command that moves bytes ends: with an exit code that says how it went.

0 done, 1 refused or failed, 2 wrong usage, 3 not found, 4 broken off and not to be resumed,
5 nobody answers, 130 stopped by Ctrl-C, 141 whoever reads our stdout has gone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final

from filepipe.cli.main import fail

_STOPPED: Final = 130
_PIPE_CLOSED: Final = 141


def run(transfer: Coroutine[Any, Any, None]) -> None:
    """Run a transfer on a loop of its own, and exit unless it ends well."""
    import asyncio

    import uvloop

    with exit_codes(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(transfer)
        sys.stdout.flush()


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn what the block raises into one line on stderr and an exit code."""
    from filepipe.client.errors import ClientError

    try:
        yield
    except ClientError as error:
        fail(str(error), error.exit_code)
    except BrokenPipeError:
        # Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(_PIPE_CLOSED) from None
    except KeyboardInterrupt:
        fail("stopped", _STOPPED)
    except OSError as error:
        about = f"{error.filename}: " if error.filename else ""
        fail(f"{about}{error.strerror or error}")
