"""Settings from the environment, secrets from files."""

import os
import sys
from pathlib import Path


def value(name: str, default: str | None = None) -> str:
    """The variable `name`, or what the file holds that NAME_FILE names; ends the process where neither says a thing."""
    path = os.environ.get(f"{name}_FILE")
    try:
        found = Path(path).read_text().strip() if path else os.environ.get(name) or default
    except OSError as error:
        _refuse(f"{name}_FILE = {path!r} cannot be read: {error.strerror}.", "Let the user of this process read it.")
    if not found:
        _refuse(f"{name} is not set.", f"Write its value into a file and name that file in {name}_FILE.")
    return found


def is_on(name: str) -> bool:
    """Whether the variable `name` is `on`; it is off unless it says so."""
    text = os.environ.get(name) or "off"
    if text not in ("on", "off"):
        _refuse(f"{name} = {text!r} is neither on nor off.", f"Write {name}=on or {name}=off, or leave it out.")
    return text == "on"


def _refuse(what: str, remedy: str) -> None:
    print(f"{what}\n  {remedy}", file=sys.stderr)
    sys.exit(2)
