"""Every module has its test at the mirrored path: filepipe/x/y.py has tests/x/test_y.py."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = {"filepipe": "", "backends/filepipe_backends": "backends"}

# What can only be seen in the real process, with the test that sees it.
ELSEWHERE = {
    "backends/filepipe_backends/calls.py": "tests/backends/test_file_cancelled.py",
    "backends/filepipe_backends/smb_drafts.py": "tests/backends/test_smb.py",
    "backends/filepipe_backends/smb_wire.py": "tests/backends/test_smb_link.py",
    "backends/filepipe_backends/s3_bucket.py": "tests/backends/test_s3_faults.py",
    "backends/filepipe_backends/s3_objects.py": "tests/backends/test_s3_faults.py",
    "backends/filepipe_backends/s3_room.py": "tests/backends/test_s3_crashed.py",
    "backends/filepipe_backends/s3_sending.py": "tests/backends/test_s3_faults.py",
    "backends/filepipe_backends/s3_copies.py": "tests/backends/test_s3.py",
    "backends/filepipe_backends/s3_drafts.py": "tests/backends/test_s3.py",
    "filepipe/app.py": "tests/scenarios/test_settings_at_start.py",
    "filepipe/channels/offset_chores.py": "tests/channels/test_offset_uploads.py",
    "filepipe/journal/descriptors.py": "tests/journal/test_files.py",
    "filepipe/journal/recovery.py": "tests/journal/test_files_crashed.py",
    "filepipe/channels/offset_contents.py": "tests/channels/test_offset_uploads.py",
    "filepipe/channels/offset_finishing.py": "tests/channels/test_offset_uploads.py",
    "filepipe/channels/offset_growing.py": "tests/channels/test_offset_uploads.py",
    "filepipe/channels/offset_removal.py": "tests/channels/test_offset_uploads.py",
    "filepipe/channels/offset_plan.py": "tests/channels/test_offset_uploads.py",
    "filepipe/channels/offset_session.py": "tests/channels/test_offset_uploads.py",
    "filepipe/channels/offset_sessions.py": "tests/channels/test_offset_uploads.py",
    "filepipe/channels/offset_steps.py": "tests/channels/test_offset_uploads.py",
    "filepipe/channels/upload_activity.py": "tests/channels/test_uploads.py",
    "filepipe/channels/upload_queries.py": "tests/channels/test_uploads.py",
    "filepipe/config/declaration.py": "tests/config/test_description.py",
    "filepipe/channels/upload_plan.py": "tests/channels/test_uploads.py",
    "filepipe/daemon.py": "tests/scenarios/test_drain.py",
    "filepipe/errors.py": "tests/docs/test_reference.py",
    "filepipe/records/schema.py": "tests/records/test_database.py",
    "filepipe/storage/interface.py": "tests/backends/test_memory.py",
    "filepipe/testing/growing.py": "tests/backends/test_local.py",
    "filepipe/testing/shelf_steps.py": "tests/backends/test_local.py",
    "filepipe/testing/shelves.py": "tests/backends/test_local.py",
    "filepipe/testing/storages.py": "tests/backends/test_memory.py",
    "filepipe/web/access_log.py": "tests/logs/test_requests.py",
    "filepipe/web/appender.py": "tests/scenarios/httpfstream/test_fstream_append.py",
    "filepipe/web/auto.py": "tests/scenarios/auto/test_auto_reserved.py",
    "filepipe/web/context.py": "tests/scenarios/test_settings_at_start.py",
    "filepipe/web/entry.py": "tests/scenarios/guard/test_guard_framing.py",
    "filepipe/web/exchange.py": "tests/logs/test_requests.py",
    "filepipe/web/follower.py": "tests/scenarios/httpfstream/test_fstream_follow.py",
    "filepipe/web/forward.py": "tests/scenarios/file_pipe/test_file_pipe_put.py",
    "filepipe/web/history.py": "tests/scenarios/logs/test_logs_follow.py",
    "filepipe/web/multipart.py": "tests/scenarios/file_pipe/test_file_pipe_multipart.py",
    "filepipe/web/ranges.py": "tests/scenarios/auto/test_auto_range.py",
    "filepipe/web/part_body.py": "tests/scenarios/uploads/test_uploads_parts.py",
    "filepipe/web/parcel.py": "tests/scenarios/httpipe/test_httpipe_producer.py",
    "filepipe/web/direct.py": "tests/scenarios/rendezvous/test_rendezvous_closing_at_once.py",
    "filepipe/web/refusals.py": "tests/scenarios/auto/test_auto_put.py",
    "filepipe/web/routes/beam.py": "tests/scenarios/beam/test_beam_put.py",
    "filepipe/web/routes/file_pipe.py": "tests/scenarios/file_pipe/test_file_pipe_put.py",
    "filepipe/web/routes/files.py": "tests/scenarios/tus/test_files_front.py",
    "filepipe/web/routes/httpfstream.py": "tests/scenarios/httpfstream/test_fstream_follow.py",
    "filepipe/web/routes/httpipe.py": "tests/scenarios/httpipe/test_httpipe_producer.py",
    "filepipe/web/routes/logs.py": "tests/scenarios/logs/test_logs_append.py",
    "filepipe/web/routes/pages.py": "tests/scenarios/auto/test_auto_reserved.py",
    "filepipe/web/routes/piping.py": "tests/scenarios/piping/test_piping_sender.py",
    "filepipe/web/routes/rendezvous.py": "tests/scenarios/rendezvous/test_rendezvous_table.py",
    "filepipe/web/routes/resumption.py": "tests/scenarios/auto/test_auto_resumption.py",
    "filepipe/web/routes/resumable.py": "tests/scenarios/resumable/test_resumable_append.py",
    "filepipe/web/routes/resumable_turn.py": "tests/scenarios/resumable/test_resumable_creation.py",
    "filepipe/web/routes/pipes.py": "tests/scenarios/auto/test_auto_put.py",
    "filepipe/web/routes/status.py": "tests/scenarios/auto/test_auto_reserved.py",
    "filepipe/web/routes/uploads.py": "tests/scenarios/uploads/test_uploads_parts.py",
    "filepipe/web/websocket.py": "tests/scenarios/httpfstream/test_fstream_append.py",
    "filepipe/web/routes/streams.py": "tests/scenarios/streams/test_streams_append.py",
    "filepipe/web/routes/stream_reads.py": "tests/scenarios/streams/test_streams_read.py",
    "filepipe/web/stream_events.py": "tests/scenarios/streams/test_streams_read.py",
    "filepipe/web/stream_looks.py": "tests/scenarios/streams/test_streams_json.py",
    "filepipe/web/user_content.py": "tests/scenarios/file_pipe/test_file_pipe_get.py",
}


def modules() -> dict[str, Path]:
    """The path of each module's test, by the path of the module; both from the root."""
    found = {}
    for source, folder in SOURCES.items():
        for path in sorted((ROOT / source).rglob("*.py")):
            if path.stem.startswith("__"):
                continue
            below = path.relative_to(ROOT / source)
            test = Path("tests", folder, below.parent, f"test_{below.name}")
            found[path.relative_to(ROOT).as_posix()] = test
    return found


@pytest.mark.parametrize("module", modules())
def test_a_module_has_its_test(module: str) -> None:
    """At the mirrored path, or where the table says."""
    test = ELSEWHERE.get(module, modules()[module].as_posix())
    assert (ROOT / test).is_file()


@pytest.mark.parametrize("module", ELSEWHERE)
def test_the_table_has_no_line_too_many(module: str) -> None:
    """A module that is gone, or has its own test, is no exception."""
    assert module in modules()
    assert not (ROOT / modules()[module]).exists()
