"""Errors in a configuration (faults), and the one exception that carries all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

#: Path of a value from the top of the file: names of keys and positions in lists.
Key = tuple[str | int, ...]


@dataclass(frozen=True)
class Fault:
    """One error of a configuration.

    Attributes
    ----------
    key
        Where it is.
    message
        What was expected, what was received, what to do.
    about
        All keys that the message is about, if there are others than ``key``. If one of them has an error of
        its own, this fault may only be a consequence of that error.
    """

    key: Key
    message: str
    about: tuple[Key, ...] = field(default=(), compare=False)

    @property
    def concerned(self) -> tuple[Key, ...]:
        """All keys that the message is about."""
        return self.about or (self.key,)

    def __str__(self) -> str:
        return f"{dotted(self.key)}: {self.message}" if self.key else self.message


@dataclass(frozen=True)
class Origin:
    """Where a configuration was read from, so that a fault can name file and line."""

    name: str = "configuration"
    lines: Mapping[Key, int] = field(default_factory=dict)

    def line(self, key: Key) -> int | None:
        """Line of a key, or of the closest key above it that was written down."""
        for length in range(len(key), -1, -1):
            if key[:length] in self.lines:
                return self.lines[key[:length]]
        return None

    def place(self, key: Key) -> str:
        """``file:line``, or the name alone where no line is known."""
        line = self.line(key)
        return self.name if line is None else f"{self.name}:{line}"


class ContradictionError(ValueError):
    """Fields of one section that exclude one another.

    Raised by the validators of sections, so that the fields concerned are known.

    Attributes
    ----------
    fields
        Names of the fields.
    """

    def __init__(self, message: str, *fields: str) -> None:
        super().__init__(message)
        self.fields = fields


class ConfigError(ValueError):
    """Everything that is wrong with a configuration.

    Attributes
    ----------
    faults
        In the order of the file, each once.
    """

    def __init__(self, faults: Iterable[Fault], origin: Origin | None = None) -> None:
        origin = origin or Origin()
        self.faults = sorted(dict.fromkeys(faults), key=lambda fault: origin.line(fault.key) or 0)
        count = f"{len(self.faults)} error{'s' if len(self.faults) != 1 else ''}"
        lines = [f"  {origin.place(fault.key)}: {fault}" for fault in self.faults]
        super().__init__("\n".join([f"{origin.name}: {count}", *lines]))


def dotted(key: Key) -> str:
    """Write a key as a person would: ``eeg.noise.snr-20.snr_db``, ``sensitivity.sobol[0]``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in key)
    return text.removeprefix(".")
