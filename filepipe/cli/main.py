"""The parser. It names every command and imports one only when it is called.

Exit status: 0 done, 1 failed, 2 a wrong setting or a wrong way to call; each with one line.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

from cyclopts import App, CycloptsError, Parameter, UnusedCliTokensError

from filepipe import __version__
from filepipe.errors import ConfigError

FAILED = 1
MISUSED = 2

ConfigFile = Annotated[
    Path | None, Parameter(help="Settings file, as TOML. [FILEPIPE_CONFIG]", metavar="FILE")
]

app = App(
    name="filepipe",
    help="Move bytes between anyone who has curl: PUT on one side, GET on the other.",
    version=f"filepipe {__version__}",
    help_format="plaintext",
    result_action="return_int_as_exit_code_else_zero",
)
# The help is repeated here so that the list of commands imports none of them.
app.command(
    "filepipe.cli.serve:serve",
    name="serve",
    help="""Run the daemon.

    The first SIGTERM or SIGINT lets running transfers end, the second one cuts them. A flag goes
    before the environment, that before .env in this folder, that before the settings file.""",
)
app.command(
    "filepipe.cli.transfer:put",
    name="put",
    help="""Upload a file or standard input, for anybody to get for a while.

    Prints the URL to get it from. Others can begin at once: they get the bytes as they arrive.""",
)
app.command(
    "filepipe.cli.transfer:get",
    name="get",
    help="""Download a key, while it uploads too.

    A broken connection is taken up again where it broke. A file has its name when it is whole;
    until then it is NAME.part, and the same command goes on from there.""",
)
app.command(
    "filepipe.cli.rendezvous:send",
    name="send",
    help="""Hand a file or standard input to the one who receives it; stored nowhere.

    Sending begins when the receiver is there, and succeeds only if that one got every byte. Either
    may start first. Without a KEY, this shows what to type on the other machine.""",
)
app.command(
    "filepipe.cli.rendezvous:receive",
    name="receive",
    help="""Receive what somebody sends, or put, under a key.

    Waits for the sender. Prints the name of the file, which is there only when it is whole. What
    was sent and breaks off cannot be resumed, as it is stored nowhere: it has to be sent again.""",
)
app.command(
    "filepipe.cli.log:append",
    name="append",
    help="""Append a file or standard input to a log, which is kept; each byte once.

    Prints where the log ends. What is read is on the server's disk soon after, and can be followed.
    A broken connection is taken up again, and nothing is there twice.""",
)
app.command(
    "filepipe.cli.log:follow",
    name="follow",
    help="""Follow a log to standard output: what it has, then what is appended.

    Ends when the log is closed, or when the stream ends that was being appended. A broken
    connection is taken up again where it broke.""",
)
app.command(
    "filepipe.cli.upload:upload",
    name="upload",
    help="""Upload files in parts, to be kept: durable, verified, resumed after whatever happens.

    Several parts go side by side. What stopped an upload may be anything: the same command goes on
    from there. Needs the server's API key.""",
)
app.command(
    "filepipe.cli.uploads:app",
    name="uploads",
    help="List, look at and remove what was uploaded in parts.",
)
app.command(
    "filepipe.cli.channel:app",
    name="channel",
    help="Pass messages through channels: each goes to one program, in order.",
)
app.command("filepipe.cli.settings:app", name="config", help="Show, check or make settings.")
app.command(
    "filepipe.cli.service:app", name="service", help="Run filepipe as a service of this system."
)
app.command("filepipe.cli.health:health", name="health", help="Ask the daemon whether it is well.")


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command that `argv` (by default the process's arguments) names, and exit."""
    tokens = sys.argv[1:] if argv is None else list(argv)
    try:
        code = app(tokens, print_error=False, exit_on_error=False)
        sys.stdout.flush()
    except UnusedCliTokensError as error:
        fail(f"cannot make sense of {' '.join(error.unused_tokens or [])!r}", MISUSED)
    except (CycloptsError, ConfigError) as error:
        fail(str(error), MISUSED)
    except BrokenPipeError:
        # Whoever read our output has left; the interpreter must not try to flush it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    sys.exit(code)


def fail(sentence: str, code: int = FAILED) -> NoReturn:
    """Exit with one line on stderr."""
    line = " ".join(sentence.split())
    print(f"filepipe: {line}", file=sys.stderr)
    sys.exit(code)
