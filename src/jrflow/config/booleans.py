"""True and false where a number belongs.

YAML reads yes, no, on and off as such, and pydantic would take them for 1 and 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jrflow.config.fault import Fault, Key
from jrflow.config.schema_tree import Node, SchemaTree


def boolean_faults(data: Any, tree: SchemaTree, node: Node | None = None, key: Key = ()) -> Iterator[Fault]:
    """Find every boolean that stands where the schema has a number.

    Parameters
    ----------
    data
        A configuration, or the part of it at ``key``, as plain mappings and lists.
    tree, node
        The schema, and its node for this part.
    """
    node = tree.root if node is None else node
    if isinstance(data, bool) and tree.resolve(node).get("type") in ("integer", "number"):
        yield Fault(key, f"expected a number, received {str(data).lower()} (YAML reads yes, no, on, off so)")
    elif isinstance(data, dict):
        section = tree.kinds(node).get(str(data.get("kind")), node)
        for name, value in data.items():
            yield from boolean_faults(value, tree, tree.child(section, name), (*key, name))
    elif isinstance(data, list):
        for position, item in enumerate(data):
            yield from boolean_faults(item, tree, tree.child(node, position), (*key, position))
