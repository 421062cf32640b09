"""The counters as text for Prometheus; the only file that knows the format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from filepipe import __version__
from filepipe.accountant import Budget
from filepipe.channels.channel import Kind
from filepipe.service import Service

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST


def render(service: Service, *, draining: bool) -> bytes:
    """All metrics of this moment, in the text format that `CONTENT_TYPE` names."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_ServiceCollector(service, draining))
    return generate_latest(registry)


class _ServiceCollector(Collector):
    def __init__(self, service: Service, draining: bool) -> None:
        self._service = service
        self._draining = draining

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        service = self._service
        yield InfoMetricFamily("filepipe_build", "This program.", {"version": __version__})
        yield from self._directory()
        yield from _budget(service.accountant.memory)
        yield from _budget(service.accountant.disk)
        yield from self._traffic()
        yield GaugeMetricFamily(
            "filepipe_draining", "1 from the first stop signal on.", float(self._draining)
        )

    def _directory(self) -> Iterator[Metric]:
        directory = self._service.directory
        channels = GaugeMetricFamily(
            "filepipe_channels", "Keys that exist, by their kind.", labels=["kind"]
        )
        kinds = self._service.kinds()
        for kind in Kind:
            channels.add_metric([kind.value], kinds[kind.value])
        yield channels
        yield GaugeMetricFamily(
            "filepipe_waiting_readers", "Readers whose key nobody writes yet.", directory.waiting
        )

        yield CounterMetricFamily(
            "filepipe_redelivered",
            "Messages whose consumer left before their first byte, so that another gets them.",
            self._service.queues.redelivered,
        )
        yield from self._logs()
        uploads = self._service.uploads
        yield GaugeMetricFamily(
            "filepipe_uploads_open", "Uploads that are not complete.", uploads.open
        )
        yield CounterMetricFamily(
            "filepipe_upload_parts", "Parts of uploads that were stored.", uploads.stored
        )

    def _logs(self) -> Iterator[Metric]:
        logs = self._service.logs
        yield CounterMetricFamily(
            "filepipe_log_records", "Records that were appended to logs.", logs.records
        )
        yield CounterMetricFamily(
            "filepipe_log_commits", "Writes to logs, each of one or more records.", logs.commits
        )
        yield GaugeMetricFamily(
            "filepipe_logs_damaged", "Logs that are not served because of damage.", logs.damaged
        )

    def _traffic(self) -> Iterator[Metric]:
        statistics = self._service.statistics
        transferred = CounterMetricFamily(
            "filepipe_bytes", "Bytes of bodies received (in) and sent (out).", labels=["direction"]
        )
        transferred.add_metric(["in"], statistics.bytes_in)
        transferred.add_metric(["out"], statistics.bytes_out)
        yield transferred
        transfers = CounterMetricFamily(
            "filepipe_transfers",
            "Bodies that were moved, by how that ended.",
            labels=["direction", "outcome"],
        )
        for direction in ("in", "out"):
            for outcome in ("finished", "broken"):
                count = statistics.transfers[direction, outcome]
                transfers.add_metric([direction, outcome], count)
        yield transfers
        responses = CounterMetricFamily(
            "filepipe_responses", "Answers by HTTP status.", labels=["status"]
        )
        for status, count in sorted(statistics.responses.items()):
            responses.add_metric([str(status)], count)
        yield responses
        webhooks = CounterMetricFamily(
            "filepipe_webhooks", "Posts to webhooks, by how each ended.", labels=["outcome"]
        )
        for outcome in ("delivered", "failed", "given_up"):
            webhooks.add_metric([outcome], statistics.webhooks[outcome])
        yield webhooks
        yield GaugeMetricFamily(
            "filepipe_loop_lag_seconds",
            "By how much the event loop last woke too late.",
            statistics.loop_lag,
        )
        yield GaugeMetricFamily(
            "filepipe_loop_lag_worst_seconds",
            "The most by which the event loop ever woke too late.",
            statistics.loop_lag_worst,
        )


def _budget(budget: Budget) -> Iterator[Metric]:
    name = budget.name
    yield GaugeMetricFamily(
        f"filepipe_{name}_bytes", f"Bytes of bodies that {name} holds.", budget.used
    )
    yield GaugeMetricFamily(
        f"filepipe_{name}_peak_bytes", f"The most that {name} ever held.", budget.peak
    )
    yield GaugeMetricFamily(
        f"filepipe_{name}_limit_bytes",
        f"What {name} may hold; +Inf if unlimited.",
        float("inf") if budget.limit is None else budget.limit,
    )
