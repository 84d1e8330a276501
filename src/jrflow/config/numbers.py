"""Values that cannot stand where the schema has a number: true and false, and numbers beyond all bounds.

YAML reads yes, no, on and off as true and false, and pydantic would take them for 1 and 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jrflow.config.fault import Fault, Key
from jrflow.config.schema_tree import Node, SchemaTree

#: Whole numbers from here on fit no array, seed or file format; other numbers beyond overflow in formulas.
_LARGEST_INTEGER = 2**63
_LARGEST_NUMBER = 1e100
_NUMBERS = ("integer", "number")


def number_faults(data: Any, tree: SchemaTree, node: Node | None = None, key: Key = ()) -> Iterator[Fault]:
    """Find every boolean, and every number beyond all bounds, where the schema has a number.

    Parameters
    ----------
    data
        A configuration, or the part of it at ``key``, as plain mappings and lists.
    tree, node
        The schema, and its node for this part.
    key
        Key of this part in the whole configuration.
    """
    node = tree.root if node is None else node
    if isinstance(data, dict):
        section = tree.kinds(node).get(str(data.get("kind")), node)
        for name, value in data.items():
            yield from number_faults(value, tree, tree.child(section, name), (*key, name))
    elif isinstance(data, list):
        for position, item in enumerate(data):
            yield from number_faults(item, tree, tree.child(node, position), (*key, position))
    elif tree.resolve(node).get("type") in _NUMBERS:
        yield from _number(data, tree.resolve(node)["type"], key)


def _number(value: Any, kind: str, key: Key) -> Iterator[Fault]:
    if isinstance(value, bool):
        message = f"expected a number, received {str(value).lower()} (YAML reads yes/no/on/off as true/false)"
        yield Fault(key, message)
    elif isinstance(value, int | float):
        whole = kind == "integer"
        if whole and _LARGEST_INTEGER <= abs(value) < float("inf"):
            yield Fault(key, f"expected a whole number below 2**63, received {_shown(value)}")
        elif not whole and _LARGEST_NUMBER < abs(value) < float("inf"):
            yield Fault(key, f"expected a number of at most {_LARGEST_NUMBER:g}, received {_shown(value)}")


def _shown(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) else f"a number of {value.bit_length()} bits"
