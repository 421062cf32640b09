"""Measure parts on their way to a bucket: through filepipe, and by aiobotocore alone.

Both send the same bytes in the same parts, as many at once, to the same SeaweedFS, in turns. Needs
what the tests need, and Go for the load generator.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
import uuid
from dataclasses import replace
from pathlib import Path

from aiobotocore.session import get_session
from botocore.config import Config
from modes import RATE, UPLOADS, Metric, Mode
from report import Runs, machine, software, table
from run import build, measure, parse_size, rounds
from servers import Server, filepipe

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.s3 import ACCOUNT, BUCKET, S3, SECRET, start

AT_ONCE = 8
PARTS = 32


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", default=5, type=rounds, help="runs of each (5)")
    parser.add_argument("--size", default="16M", type=parse_size, help="of a part (16M)")
    return parser.parse_args()


def mode_of(size: int) -> Mode:
    """The load of ours: the parts of one upload."""
    return Mode(
        "s3",
        f"{PARTS} parts of {size >> 20} MiB to a bucket, {AT_ONCE} at once",
        ("-mode", "parts", "-n", str(PARTS), "-c", str(AT_ONCE), "-size", str(size)),
        (RATE[0], Metric("seconds", "s", 2)),
        serve=("--chunk-size-mb", str(size >> 20)),
        ours=UPLOADS,
    )


async def alone(s3: S3, size: int) -> dict[str, float]:
    """The same by aiobotocore; the time of the parts, without the beginning and the end."""
    config = Config(
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
        max_pool_connections=AT_ONCE,
    )
    session = get_session()
    async with session.create_client(
        "s3", region_name="us-east-1", endpoint_url=s3.endpoint, aws_access_key_id=ACCOUNT,
        aws_secret_access_key=SECRET, config=config,
    ) as client:  # fmt: skip
        name = {"Bucket": BUCKET, "Key": uuid.uuid4().hex}
        upload = {**name, "UploadId": (await client.create_multipart_upload(**name))["UploadId"]}
        body, numbers = os.urandom(size), iter(range(1, PARTS + 1))
        began = time.monotonic()
        await asyncio.gather(*(send(client, upload, numbers, body) for _ in range(AT_ONCE)))
        seconds = time.monotonic() - began
        await client.abort_multipart_upload(**upload)
    return {"seconds": seconds, "gb_per_s": PARTS * size / 1e9 / seconds}


async def send(client, upload, numbers, body) -> None:
    """One of those who send a part after the other."""
    for number in numbers:
        await client.upload_part(PartNumber=number, Body=body, **upload)


def main() -> None:
    """Measure, in turns, and print the table."""
    arguments = parse_arguments()
    build()
    mode = mode_of(arguments.size)
    names = ("filepipe", "aiobotocore alone")
    runs = Runs(mode, results={name: [] for name in names})
    with tempfile.TemporaryDirectory(prefix="filepipe-bench-") as folder:
        s3 = S3(start(Path(folder, "s3"), os.getpid()), "bench")
        os.environ |= s3.settings()
        ours: Server = replace(filepipe(mode)[0], name="filepipe")
        for number in range(arguments.rounds):
            for name in names if number % 2 else reversed(names):
                if name == "filepipe":
                    result = measure(ours, mode, arguments.size)
                else:
                    result = asyncio.run(alone(s3, arguments.size))
                runs.results[name].append(result)
                print(f"{number + 1} {name}: {result['gb_per_s']:.3f} GB/s", file=sys.stderr)
    print(table(runs))
    print(f"{machine()}; {software()}")


if __name__ == "__main__":
    main()
