"""A made-up run for the picture in the README: every status once, a failure and what it holds up."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from releasekit.lifecycle import PackageStatus

if TYPE_CHECKING:
    from collections.abc import Mapping


class Sample(NamedTuple):
    """A made-up package."""

    name: str
    status: PackageStatus
    version: str
    requires: tuple[str, ...] = ()
    error: str = ""
    reason: str = ""
    artifacts: Mapping[str, str] = MappingProxyType({})


RUN: Final = (
    Sample("acme-core", PackageStatus.PUBLISHED, "2.4.0"),
    Sample("acme-types", PackageStatus.SKIPPED, "1.1.0", reason="already complete on the index"),
    Sample("acme-http", PackageStatus.PUBLISHED, "2.4.0", ("acme-core", "acme-types")),
    Sample("acme-store", PackageStatus.VERIFYING, "2.4.0", ("acme-core",)),
    Sample("acme-auth", PackageStatus.PUBLISHING, "0.9.3", ("acme-http",)),
    Sample(
        "acme-queue",
        PackageStatus.FAILED,
        "2.4.0",
        ("acme-http",),
        error="the index shows another sha256 for acme_queue-2.4.0.tar.gz",
    ),
    Sample("acme-admin", PackageStatus.BUILDING, "2.4.0", ("acme-auth", "acme-store")),
    Sample("acme-worker", PackageStatus.PENDING, "2.4.0", ("acme-queue", "acme-store")),
    Sample("acme", PackageStatus.PENDING, "2.4.0", ("acme-admin", "acme-worker", "acme-core")),
)
