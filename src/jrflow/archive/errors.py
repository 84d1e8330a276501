"""Errors of an archive; each takes one message, so that it can be sent from a worker process."""


class ArchiveError(OSError):
    """An archive cannot be read or written."""


class ArchiveMismatchError(ArchiveError):
    """A store is in the way that belongs to another campaign or configuration."""


class DiskFullError(ArchiveError):
    """There is not enough room on the disk."""


class ShardError(ArchiveError):
    """Simulating or writing one shard failed."""
