"""The memory: bytes and records on disk. It knows nothing of packages."""
