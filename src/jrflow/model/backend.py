"""The error that says why a backend cannot compute here."""

from __future__ import annotations


class BackendError(RuntimeError):
    """A backend is not installed, finds no device, or its device is too small."""
