"""Errors of archives; each has one message as its argument, so that worker processes can send it."""


class ArchiveError(OSError):
    """An archive cannot be read or written."""


class ArchiveMismatchError(ArchiveError):
    """A store with this name exists, but belongs to another campaign or configuration."""


class DiskFullError(ArchiveError):
    """There is not enough space on the disk."""


class ShardError(ArchiveError):
    """Simulating or writing one shard failed."""
