"""Sizes as people read them."""


def readable(n_bytes: float) -> str:
    """Bytes with a decimal prefix: 98.7 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} TB"
