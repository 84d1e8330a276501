"""Finding every error of a configuration in one pass.

Errors hide one another: a section with a wrong value has no valid object, and checks that compare sections
need all of them. So each wrong value is reported, then replaced by its default (or its entry is left out).
The checks continue with what remains. What they find about a replaced value is a consequence of the first one
and is not reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from functools import cache
from typing import Any

from pydantic import ValidationError

from jrflow.config.config import Config
from jrflow.config.contradictions import contradictions
from jrflow.config.fault import Fault, Key
from jrflow.config.numbers import number_faults
from jrflow.config.references import reference_faults
from jrflow.config.schema_tree import SchemaTree
from jrflow.config.translate import translate

#: Stand in for a section without any valid entry.
_PRIOR = {"none": {"kind": "relative-uniform"}}
_CAMPAIGN = {"none": {"design": "prior", "n": 1, "prior": "none"}}


class Examination:
    """What is wrong with a configuration, and what is left when that is replaced.

    Parameters
    ----------
    data
        Section names to their content, as plain mappings and lists.
    faults
        Found earlier.

    Attributes
    ----------
    config
        Valid in itself; equal to the data where there are no faults.
    faults
        All that was found.
    """

    def __init__(self, data: Mapping[str, Any], faults: Iterable[Fault] = ()) -> None:
        self.faults: list[Fault] = list(faults)
        self._replaced: set[Key] = set()
        self._data: dict[str, Any] = deepcopy(dict(data))
        numbers, references = list(number_faults(data, schema_tree())), reference_faults(data)
        self.faults += [*numbers, *references]
        self._replace_all(numbers)
        self._valid()
        self._replace_all(references)
        self.config = self._whole()
        self.add(contradictions(self.config))

    def add(self, faults: Iterable[Fault]) -> None:
        """Add faults that were found in ``config``, unless they concern a value that was replaced."""
        self.faults += [fault for fault in faults if not self._is_consequence(fault)]

    def _valid(self) -> Config:
        """Replace what no section takes, until all sections are valid."""
        while True:
            try:
                return Config.model_validate(self._data)
            except ValidationError as error:
                found = list(translate(error, schema_tree()))
            self.add(found)
            self._replace_all(found)

    def _whole(self) -> Config:
        """Leave out what refers to nothing, until all references hold."""
        while True:
            config = self._valid()
            missing = reference_faults(config.model_dump())
            if not missing:
                return config
            self.add(missing)
            self._replace_all([Fault(fault.key, fault.message) for fault in missing])

    def _replace_all(self, faults: Iterable[Fault]) -> None:
        for fault in faults:
            self._replaced.update(fault.concerned)
            # Of fields that exclude one another, those that were written; their section only if none was.
            written = [key for key in fault.concerned if self._existing(key) == key]
            for key in written or [fault.key]:
                self._remove(self._existing(key))
        reported = {key[0] for key in self._replaced if key}
        if "campaigns" in reported and not self._data.get("campaigns"):
            self._data["campaigns"] = deepcopy(_CAMPAIGN)
            self._data["priors"] = {**(self._data.get("priors") or {}), **_PRIOR}
            self._replaced.add(("campaigns",))
        if "priors" in reported and not self._data.get("priors"):
            self._data["priors"] = deepcopy(_PRIOR)
            self._replaced.add(("priors",))

    def _remove(self, path: Key) -> None:
        """Remove the value at a key that is there."""
        if path:
            self._replaced.add(path)
            holder: Any = self._data
            for step in path[:-1]:
                holder = holder[step]
            del holder[path[-1]]

    def _existing(self, key: Key) -> Key:
        """The longest part of a key that is there, without positions in lists: a list goes as a whole."""
        value: Any = self._data
        path: Key = ()
        for step in key:
            if not isinstance(value, dict) or step not in value:
                break
            value, path = value[step], (*path, step)
        return path

    def _is_consequence(self, fault: Fault) -> bool:
        return any(_overlap(key, replaced) for key in fault.concerned for replaced in self._replaced)


def _overlap(one: Key, other: Key) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


@cache
def schema_tree() -> SchemaTree:
    """Schema of a configuration."""
    return SchemaTree(Config.model_json_schema())
