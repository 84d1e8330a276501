"""Connectivities of The Virtual Brain: a zip of text files."""

from __future__ import annotations

import bz2
import re
import warnings
from collections import Counter
from os import PathLike
from typing import NamedTuple
from zipfile import ZipFile

#: Names of the parts' files, in any folder.
_FILES = {"weights": "weights", "tract lengths": "tract_lengths|tracts", "centres": "centres|centers"}
_OPTIONAL = {"tract lengths"}


class Content(NamedTuple):
    """Parts of a connectivity, as text; a connectome checks them."""

    weights: list[list[str]]
    tract_lengths: list[list[str]] | None
    names: list[str]
    centres: list[list[str]]


def read_tvb_zip(path: str | PathLike[str]) -> Content:
    """Read the parts, line by line and field by field; centres without their header.

    Raises
    ------
    ValueError
        If a part is missing, there twice or unreadable.
    """
    texts = _texts(path)
    rows = {
        part: [line for line in (raw.partition("#")[0].split() for raw in text.splitlines()) if line]
        for part, text in texts.items()
    }
    lines = [line.partition("#")[0] for line in texts["centres"].splitlines()]
    names, centres = _centres([line for line in lines if line.strip()])
    return Content(rows["weights"], rows.get("tract lengths") or None, _unique(names, str(path)), centres)


def _texts(path: str | PathLike[str]) -> dict[str, str]:
    """Text of each part that is there."""
    texts = {}
    with ZipFile(path) as archive:
        # a Mac adds a folder of its own, with a shadow of every file
        entries = [name for name in archive.namelist() if not name.startswith("__MACOSX")]
        for part, stems in _FILES.items():
            found = [name for name in entries if re.fullmatch(rf"(.*/)?({stems})\.txt(\.bz2)?", name.lower())]
            if not found and part in _OPTIONAL:
                continue
            if len(found) != 1:
                raise ValueError(f"{part}: expected one file, found {len(found)} among {', '.join(entries)}")
            content = archive.read(found[0])
            try:
                plain = bz2.decompress(content) if content and found[0].endswith("bz2") else content
                texts[part] = plain.decode("utf-8-sig")
            except (OSError, ValueError) as error:
                raise ValueError(f"{found[0]}: {error}") from error
    return texts


def _centres(lines: list[str]) -> tuple[list[str], list[list[str]]]:
    """Names, which may have several words, and coordinates.

    All lines have the same columns after the name. Lines of tab-separated columns are taken by these.
    """
    columns = [line.strip().split("\t") for line in lines]
    if not all(len(row) >= 4 for row in columns):
        columns = [line.split() for line in lines]
    if columns and sum(is_number(field) for field in columns[0]) < 3:
        del columns[0]  # a header
    shortest = min((len(row) for row in columns), default=4)
    readings = [_split(columns, after) for after in range(shortest - 4, -1, -1)]
    numeric = [(names, xyz) for names, xyz in readings if all(is_number(x) for row in xyz for x in row)]
    distinct = [(names, xyz) for names, xyz in numeric if len(set(names)) == len(names)]
    return next(iter([*distinct, *numeric, *readings]), ([], []))


def _split(columns: list[list[str]], after: int) -> tuple[list[str], list[list[str]]]:
    """Names and coordinates, if ``after`` columns follow the coordinates."""
    ends = [len(row) - after for row in columns]
    names = [" ".join(row[: end - 3]) for row, end in zip(columns, ends, strict=True)]
    return names, [row[end - 3 : end] for row, end in zip(columns, ends, strict=True)]


def is_number(field: str) -> bool:
    """Whether a field of a text is a number."""
    try:
        float(field)
    except ValueError:
        return False
    return True


def _unique(names: list[str], where: str) -> list[str]:
    """Number the names that occur several times."""
    counts, taken = Counter(names), set(names)
    repeated = [name for name, n in counts.items() if n > 1]
    if not repeated:
        return names
    unique, number = [], Counter[str]()
    for name in names:
        own = name
        while counts[name] > 1 and own in taken:
            number[name] += 1
            own = f"{name}-{number[name]}"
        taken.add(own)
        unique.append(own)
    warnings.warn(
        f"{where}: {len(repeated)} names of regions occur several times, such as {repeated[0]!r}; they are "
        f"numbered: {repeated[0]}-1, {repeated[0]}-2, ...",
        UserWarning,
        stacklevel=4,
    )
    return unique
