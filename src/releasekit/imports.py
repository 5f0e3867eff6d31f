"""Import a library without what it uses only if it happens to be there."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def absent(module: str) -> Iterator[None]:
    """Have a module missing, unless it was imported already: who can do without it does not wait for it.

    To be used in one thread only: to all others it is missing as well.

    Args:
        module: Its full name.
    """
    hidden = module not in sys.modules
    if hidden:
        sys.modules[module] = None  # type: ignore[assignment]  # importing it is an ImportError
    try:
        yield
    finally:
        if hidden and sys.modules.get(module, ...) is None:
            sys.modules.pop(module, None)
