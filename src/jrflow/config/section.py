"""The base of every configuration section."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, WithJsonSchema

_FILE_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"


def _file_name(name: str) -> str:
    if not re.match(_FILE_NAME, name):
        raise ValueError(
            f"expected letters, digits and _.- only, the first a letter or digit, since file names are "
            f"made of it; received {name!r}"
        )
    return name


#: Name of a run or of an entry: it becomes part of file names.
Name = Annotated[str, AfterValidator(_file_name), WithJsonSchema({"type": "string", "pattern": _FILE_NAME})]


class Section(BaseModel):
    """A frozen model that refuses unknown keys, so that a typing error never becomes a default."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copy with some fields changed and validated; pydantic's own copy takes any value unseen."""
        if not update:
            return super().model_copy(deep=deep)
        return self.model_validate(dict(self) | dict(update))
