"""Reading archives that anybody may have made: none takes more memory than a bounded part, however it was made."""

from __future__ import annotations

import gzip
import lzma
import struct
import tarfile
import zipfile
import zlib
from typing import Final

MAX_METADATA: Final = 4 << 20
"""Bytes of one file of metadata: a long README is a hundredth of it."""

MAX_MEMBERS: Final = 1 << 16
"""Files in a tar archive, as far as it has to be read."""

MAX_UNPACKED: Final = 4 << 30
"""Bytes that these unpack to."""

BROKEN: Final = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, gzip.BadGzipFile),
    *(struct.error, NotImplementedError, RuntimeError, ValueError, OverflowError, MemoryError),
)
"""What the standard library's readers raise for archives that are none, or encrypted, or packed in an unknown way."""

_MAX_HEADERS: Final = 256 << 20  # bytes of a tar archive that are not skipped


class MetadataError(Exception):
    """A file whose metadata can't be read, or is not what its name says; the text goes on behind the file's name."""


class SmallReads(gzip.GzipFile):
    """A gzip file of which no more is unpacked at a time than metadata may have: a header may ask for any amount.

    What is skipped does not count.
    """

    _left = _MAX_HEADERS

    def read(self, size: int | None = -1) -> bytes:
        """Unpack so many bytes.

        Raises:
            MetadataError: They are too many.
        """
        if size is None or not 0 <= size <= min(MAX_METADATA + tarfile.BLOCKSIZE, self._left):
            raise MetadataError(f"has a header that is larger than {MAX_METADATA} bytes, or too many of them")
        self._left -= size
        return super().read(size)
