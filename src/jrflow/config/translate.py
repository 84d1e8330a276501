"""From pydantic's errors to faults a user can act on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from reprlib import Repr
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from jrflow.config.fault import Fault, Key
from jrflow.config.schema_tree import Node, SchemaTree
from jrflow.config.suggest import did_you_mean

_UNKNOWN = {"extra_forbidden", "unexpected_keyword_argument"}
_MISSING = {"missing", "missing_argument", "missing_keyword_only_argument"}
_NO_MAPPING = {"model_type", "model_attributes_type", "dict_type", "dataclass_type"}


def translate(error: ValidationError, tree: SchemaTree) -> Iterator[Fault]:
    """Yield a fault for each error that pydantic found.

    Parameters
    ----------
    error
        As raised by ``Config.model_validate``.
    tree
        Schema of the same model: it tells the tags of unions from keys, and what is known where.
    """
    for details in error.errors(include_url=False):
        key, node = _place(details["loc"], tree)
        yield _fault(details, key, node, tree)


def _place(loc: Key, tree: SchemaTree) -> tuple[Key, Node]:
    """Key as written in the file (without pydantic's union tags), and the schema of its parent."""
    key: Key = ()
    node = parent = tree.root
    for step in loc:
        if step == "[key]":
            break
        if step not in tree.kinds(node):
            key, parent = (*key, step), node
        node = tree.child(node, step)
    return key, parent


def _fault(details: ErrorDetails, key: Key, parent: Node, tree: SchemaTree) -> Fault:
    kind, context, received = details["type"], details.get("ctx", {}), details["input"]
    if kind.startswith("union_tag"):
        tag = context["discriminator"].strip("'")
        known = list(tree.kinds(tree.child(parent, key[-1])))
        if kind == "union_tag_not_found":
            return Fault((*key, tag), f"missing; expected one of {', '.join(known)}")
        return Fault((*key, tag), _unlike(known, context["tag"]))
    if kind == "literal_error":
        return Fault(key, _unlike(re.findall(r"'([^']*)'", context["expected"]), received))
    if kind == "value_error":
        fields = getattr(context["error"], "fields", ())
        return Fault(key, str(context["error"]), tuple((*key, name) for name in fields))
    if kind in _UNKNOWN:
        return Fault(key, f"unknown key{did_you_mean(str(key[-1]), tree.fields(parent))}")
    described = tree.child(parent, key[-1]).get("description") or parent.get("description", "a value")
    described = " ".join(described.split()).removesuffix(".")
    if kind in _MISSING:
        return Fault(key, f"missing; expected: {described}")
    expected = described if kind == "string_pattern_mismatch" else _expected(details)
    return Fault(key, f"expected {expected}, received {_received(received)}")


def _unlike(known: list[str], received: Any) -> str:
    """Message for a word that is not among those expected."""
    hint = did_you_mean(received, known) if isinstance(received, str) else ""
    hint = hint if "did you mean" in hint else ""
    return f"expected one of {', '.join(known)}, received {_received(received)}{hint}"


def _expected(details: ErrorDetails) -> str:
    """Say what pydantic wanted: 'Input should be a finite number' becomes 'a finite number'."""
    kind, context = details["type"], details.get("ctx", {})
    if kind in _NO_MAPPING:
        return "a mapping (key: value)"
    if kind in ("too_short", "too_long"):
        bound = (
            f"at least {context['min_length']}" if kind == "too_short" else f"at most {context['max_length']}"
        )
        return f"{bound} entries"
    wanted = re.sub(r"^\w+ should (be )?", "", details["msg"]).split(", ")[0]
    return f"a number {wanted}" if kind.startswith(("greater", "less")) else wanted


def _received(value: Any) -> str:
    shorten = Repr()
    shorten.maxstring = shorten.maxother = 60
    return "nothing (null)" if value is None else shorten.repr(value)
