"""A file as the kernel shows it and as the device has it, which a power cut parts by the sector.

Both part with every write and meet at a flush. What a power cut may leave is what was flushed and, of what was written
since, any sectors, each as after any of the writes, with any size between. After a flush that failed the device has
what a power cut would have left, and the kernel takes all of it for flushed: another flush changes nothing, and readers
see lines that the device never got, until the kernel is told to forget them.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

SECTOR: Final = 512  # bytes


class File:
    """The content of a file: the kernel's view and the device's.

    Args:
        content: What both have.

    Attributes:
        view: What the kernel shows.
    """

    def __init__(self, content: bytes = b"") -> None:
        self.view = bytearray(content)
        self._sectors = bytearray(content)  # the device's
        self._sizes = [len(content)]  # the device's, and each one since
        self._written: dict[int, list[bytes]] = defaultdict(list)  # since the last flush: sector → its contents
        self._lost: set[int] = set()  # sectors that the kernel believes the device to have

    def write(self, data: bytes, offset: int) -> None:
        """Change the view."""
        end = offset + len(data)
        if len(self.view) < end:
            self.view.extend(bytes(end - len(self.view)))
            self._sizes.append(end)
        self.view[offset:end] = data
        for sector in range(offset // SECTOR, (end + SECTOR - 1) // SECTOR):
            self._note(sector)

    def truncate(self, size: int) -> None:
        """Cut the view, or extend it by zeros."""
        self.view = self.view[:size].ljust(size, b"\0")
        self._sizes.append(size)
        self._note(size // SECTOR)

    def flush(self) -> None:
        """Have the device take the view."""
        for sector, contents in self._written.items():
            _put(self._sectors, sector, contents[-1])
        self._written.clear()
        self._sizes = [len(self.view)]
        del self._sectors[len(self.view) :]

    def fail_to_flush(self, random: Random) -> None:
        """Have the device take some sectors, and the kernel believe that it took all. The size is still to come."""
        _keep_some(self._sectors, self._written, random)
        self._lost |= self._written.keys()
        self._written.clear()

    def forget(self) -> list[tuple[bytes, int]]:
        """Show what the device has wherever the kernel believes that it does; give what is shown, and where."""
        shown = []
        for sector in sorted(self._lost):
            start = sector * SECTOR
            length = len(self.view[start : start + SECTOR])
            content = bytes(self._sectors[start : start + length].ljust(length, b"\0"))
            self.view[start : start + length] = content
            shown.append((content, start))
        self._lost.clear()
        return shown

    def after_power_cut(self, random: Random) -> bytes:
        """Make a content that the device may have."""
        sectors = bytearray(self._sectors)
        _keep_some(sectors, self._written, random)
        size = random.choice([*self._sizes, random.randint(min(self._sizes), max(self._sizes))])
        return bytes(sectors[:size].ljust(size, b"\0"))

    def _note(self, sector: int) -> None:
        content = self.view[sector * SECTOR : (sector + 1) * SECTOR]
        self._written[sector].append(bytes(content.ljust(SECTOR, b"\0")))
        self._lost.discard(sector)


def _keep_some(sectors: bytearray, written: Mapping[int, list[bytes]], random: Random) -> None:
    """Put some of what was written into sectors, each as after any of the writes."""
    for sector, contents in written.items():
        kept = random.randint(0, len(contents))
        if kept:
            _put(sectors, sector, contents[kept - 1])


def _put(sectors: bytearray, sector: int, content: bytes) -> None:
    start = sector * SECTOR
    if len(sectors) < start:
        sectors.extend(bytes(start - len(sectors)))
    sectors[start : start + SECTOR] = content
