"""An S3 server: moto, which answers as AWS does, in a process of its own.

It keeps everything in memory; each asker makes a bucket of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from servers import process

if TYPE_CHECKING:
    import s3fs


@dataclass(frozen=True)
class S3:
    """A running S3 server and credentials for it (moto accepts any)."""

    url: str
    access_key: str = "testing"
    secret_key: str = field(default="testing-secret", repr=False)
    region: str = "eu-central-1"

    def files(self, **options: Any) -> s3fs.S3FileSystem:
        """Open it as a file system that caches nothing."""
        import s3fs  # a second of import that most test runs need not pay

        return s3fs.S3FileSystem(
            key=self.access_key, secret=self.secret_key, endpoint_url=self.url,
            client_kwargs={"region_name": self.region}, skip_instance_cache=True,
            use_listings_cache=False, **options,
        )  # fmt: skip

    def bucket(self, name: str) -> str:
        """Make an empty bucket and return its name; what one of that name held is removed."""
        files = self.files()
        if files.exists(name):
            files.rm(name, recursive=True)
        files.mkdir(name)
        return name


@pytest.fixture(scope="session")
def moto() -> Iterator[S3]:
    """An S3 server with no buckets."""
    port = process.free_port()
    command = [process.installed("moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    with (
        process.folder("s3") as folder,
        process.start("moto", command, ready=process.listening(port), log=folder / "moto.log"),
    ):
        yield S3(f"http://127.0.0.1:{port}")
