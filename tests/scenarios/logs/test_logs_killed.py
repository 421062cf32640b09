"""kill -9 at any moment under load: nothing acknowledged is lost, repeated or torn.

`LOG_KILLS` sets the rounds, `LOG_SEED` repeats the same choices.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.conftest import Daemon
from tests.scenarios.logs.killed import Appender, Churner, Commands, Follower, nothing_left_over

ROUNDS = int(os.environ.get("LOG_KILLS", "2"))
SEED = int(os.environ.get("LOG_SEED", "7"))
APPENDERS = 3
CHURNERS = 3
FRESH = 10
"""Rounds after which those who append take new logs, or every round would read more."""

OPTIONS = ("--allow-delete", "--wait", "20")


def test_killed_at_any_moment(
    start: Callable[..., Daemon], restart: Callable[..., Daemon], tmp_path: Path
) -> None:
    """Round after round: who appends, follows, makes and removes finds what he was told."""
    choose = random.Random(SEED)
    daemon = start(*OPTIONS)
    listen = ("--listen", daemon.addresses[0])
    commands = Commands(daemon, tmp_path)
    churners = [Churner(f"/churn{number}", number) for number in range(CHURNERS)]
    appenders: list[Appender] = []
    followers: list[Follower] = []
    told = Counter[str]()
    try:
        for number in range(ROUNDS):
            if number % FRESH == 0:
                finish(daemon, appenders, followers)
                paths = [f"/log{number}-{lane}" for lane in range(APPENDERS)]
                appenders = [Appender(path, SEED + lane) for lane, path in enumerate(paths)]
                followers = [Follower(path) for path in paths]
            under_load(daemon, [*appenders, *followers, *churners], choose.uniform(0.05, 0.8))
            daemon = restart(daemon, *OPTIONS, *listen)
            for each in (*appenders, *churners):
                each.check(daemon)
                assert not each.wrong, (number, each.path, each.wrong)
            for appender, follower in zip(appenders, followers, strict=True):
                assert appender.acknowledged.startswith(follower.got), (number, follower.path)
            told["acknowledged"] += sum(appender.told for appender in appenders)
            for appender in appenders:
                appender.told = 0
            kept = [
                f"/log{each}-{lane}"
                for each in range(0, number + 1, FRESH)
                for lane in range(APPENDERS)
            ]
            nothing_left_over(daemon, [*kept, *(each.path for each in churners), commands.path])
            assert not [line for line in daemon.log() if line.get("level") == "error"]
            commands.catch_up()
        finish(daemon, appenders, followers)
        commands.end(daemon)
    finally:
        commands.kill()
    told["made or removed"] = sum(each.number for each in churners)
    print(f"{ROUNDS} rounds: {dict(told)}; {len(commands.fed)} bytes by commands")
    daemon.assert_clean_log()


def under_load(daemon: Daemon, clients: list[Appender | Follower | Churner], pause: float) -> None:
    """Let them all work, and kill the daemon in the middle."""
    threads = [threading.Thread(target=each.work, args=(daemon,)) for each in clients]
    for thread in threads:
        thread.start()
    time.sleep(pause)
    daemon.kill()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def finish(daemon: Daemon, appenders: list[Appender], followers: list[Follower]) -> None:
    """Close the logs: whoever follows goes on to the end, and has everything once."""
    for appender, follower in zip(appenders, followers, strict=True):
        appender.close(daemon)
        follower.work(daemon)
        assert follower.got == appender.acknowledged, follower.path
