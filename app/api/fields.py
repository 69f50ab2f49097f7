"""Types of fields that several requests share."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

ADDRESS = re.compile(r"[A-Za-z0-9._%+'/=?^`{|}~!#$&*-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")


class Request(BaseModel):
    """A body. A misspelt field is an error: left out silently, it would get its default."""

    model_config = ConfigDict(extra="forbid")


def _storable(value: str) -> str:
    if "\0" in value or (not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value)):
        raise ValueError("it contains a NUL character or half a surrogate pair, which the database cannot store")
    return value


def _one_line(value: str) -> str:
    value = value.strip()
    if not value:
        raise ValueError("it is empty")
    if not value.isprintable():
        raise ValueError("it contains a control character or a line break")
    return value


def _address(value: str) -> str:
    value = value.strip()
    if not ADDRESS.fullmatch(value):
        raise ValueError("it is not an e-mail address like ada@example.org")
    if "=?" in value:  # the start of an encoded word (RFC 2047), which mail programs decode to another address
        raise ValueError("it contains '=?', which mail programs take for the start of an encoded text")
    return value.lower()


Text = Annotated[str, AfterValidator(_storable)]
Line = Annotated[str, AfterValidator(_storable), AfterValidator(_one_line)]
Email = Annotated[
    str,
    Field(max_length=254, json_schema_extra={"pattern": f"^{ADDRESS.pattern}$"}),  # told, and checked below
    AfterValidator(_storable),
    AfterValidator(_address),
]
