"""The metrics: every number that the issue names, as Prometheus reads it."""

import math

import pytest
from prometheus_client.parser import text_string_to_metric_families

from filepipe import __version__
from filepipe.channels.channel import Kind, Metadata, Writer
from filepipe.channels.retention import Retention
from filepipe.keys import Key
from filepipe.prometheus import CONTENT_TYPE, render
from filepipe.service import Service, Spilling


@pytest.fixture
async def service(tmp_path):
    """A service with limited memory and unlimited disk."""
    service = Service(Spilling(f"file:{tmp_path}", 1000, 5000, None), 10)
    yield service
    await service.aclose()


def families(service, *, draining=False):
    text = render(service, draining=draining).decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def samples(service, **options):
    """Name and labels of each sample → value."""
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in families(service, **options).values()
        for sample in family.samples
    }


async def test_an_idle_daemon(service):
    """Everything is there from the start, at zero: a graph needs no first event."""
    assert samples(service) == {
        ("filepipe_build_info", __version__): 1.0,
        ("filepipe_channels", "pipe"): 0.0,
        ("filepipe_channels", "rendezvous"): 0.0,
        ("filepipe_channels", "queue"): 0.0,
        ("filepipe_channels", "upload"): 0.0,
        ("filepipe_waiting_readers",): 0.0,
        ("filepipe_redelivered_total",): 0.0,
        ("filepipe_channels", "log"): 0.0,
        ("filepipe_log_records_total",): 0.0,
        ("filepipe_log_commits_total",): 0.0,
        ("filepipe_logs_damaged",): 0.0,
        ("filepipe_uploads_open",): 0.0,
        ("filepipe_upload_parts_total",): 0.0,
        ("filepipe_memory_bytes",): 0.0,
        ("filepipe_memory_peak_bytes",): 0.0,
        ("filepipe_memory_limit_bytes",): 5000.0,
        ("filepipe_disk_bytes",): 0.0,
        ("filepipe_disk_peak_bytes",): 0.0,
        ("filepipe_disk_limit_bytes",): math.inf,
        ("filepipe_bytes_total", "in"): 0.0,
        ("filepipe_bytes_total", "out"): 0.0,
        ("filepipe_transfers_total", "finished", "in"): 0.0,
        ("filepipe_transfers_total", "broken", "in"): 0.0,
        ("filepipe_transfers_total", "finished", "out"): 0.0,
        ("filepipe_transfers_total", "broken", "out"): 0.0,
        ("filepipe_webhooks_total", "delivered"): 0.0,
        ("filepipe_webhooks_total", "failed"): 0.0,
        ("filepipe_webhooks_total", "given_up"): 0.0,
        ("filepipe_loop_lag_seconds",): 0.0,
        ("filepipe_loop_lag_worst_seconds",): 0.0,
        ("filepipe_draining",): 0.0,
    }


async def test_the_numbers_are_those_of_the_moment(service):
    """Each sample shows what the service counts."""
    for key, size in (("small", 700), ("large", 3000)):
        channel = service.directory.claim(Key(key), Kind.PIPE, Retention(60.0))
        async with Writer(channel) as writer:
            await channel.publish(service.storage, Metadata(length=size))
            await writer.write([bytes(size)])
    service.meetings.offer(Key("met"), 1, Metadata())
    statistics = service.statistics
    statistics.bytes_in, statistics.bytes_out = 3700, 1 << 50
    statistics.transfers["in", "finished"] += 2
    statistics.transfers["out", "broken"] += 1
    statistics.responses[200] += 2
    statistics.responses[404] += 1
    statistics.loop_lag, statistics.loop_lag_worst = 0.25, 1.5
    now = samples(service, draining=True)
    expected = {
        ("filepipe_channels", "pipe"): 2.0,
        ("filepipe_channels", "rendezvous"): 1.0,
        ("filepipe_memory_bytes",): 700.0,
        ("filepipe_memory_peak_bytes",): 3700.0,
        ("filepipe_disk_bytes",): 3000.0,
        ("filepipe_bytes_total", "in"): 3700.0,
        ("filepipe_bytes_total", "out"): float(1 << 50),
        ("filepipe_transfers_total", "finished", "in"): 2.0,
        ("filepipe_transfers_total", "broken", "out"): 1.0,
        ("filepipe_responses_total", "200"): 2.0,
        ("filepipe_responses_total", "404"): 1.0,
        ("filepipe_loop_lag_seconds",): 0.25,
        ("filepipe_loop_lag_worst_seconds",): 1.5,
        ("filepipe_draining",): 1.0,
    }
    assert {name: now[name] for name in expected} == expected


async def test_every_metric_explains_itself(service):
    """A help text and a type for each, and a name of ours."""
    service.statistics.responses[200] += 1
    for name, family in families(service).items():
        assert name.startswith("filepipe_")
        assert family.documentation.endswith(".")
        assert family.type in ("counter", "gauge")


async def test_rendering_twice_is_no_conflict(service):
    """Each scrape stands for itself; nothing is registered globally."""
    assert render(service, draining=False) == render(service, draining=False)
    assert CONTENT_TYPE.startswith("text/plain")
