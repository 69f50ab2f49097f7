"""Reads chat completion requests, and the failures that they order, for the AI stand-in."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ROLES = ("system", "developer", "user", "assistant", "tool")
BAD_ANSWERS = ("json", "schema", "empty", "html", "cut")
MAX_DELAY = 60.0  # seconds; above every sensible client's timeout, below a test's
WORD = re.compile(r"\[\[(delay|status|retry-after|bad|times)=([\w.]{1,20})\]\]")


class ApiError(Exception):
    """A request that is wrong. `param` is the field at fault, `status` the HTTP status."""

    def __init__(self, message: str, param: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.param = param
        self.status = status


@dataclass(frozen=True)
class Chat:
    """A checked request: the model's name, every message's text, and whether a verdict is asked for."""

    model: str
    texts: tuple[str, ...]
    wants_verdict: bool

    @property
    def text(self) -> str:
        return self.texts[-1]


@dataclass(frozen=True)
class Order:
    """Seconds of delay, and a failure (a status or a bad answer) for the first `times` requests."""

    delay: float = 0.0
    status: int = 0
    retry_after: str = ""
    bad: str = ""
    times: int | None = None

    @property
    def fails(self) -> bool:
        return bool(self.status or self.bad)


def read_chat(body: bytes) -> Chat:
    """Raises ApiError, with the field at fault, for anything that OpenAI would refuse as well."""
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        raise ApiError("We could not parse the JSON body of your request.") from None
    if not isinstance(request, dict):
        raise ApiError("The JSON body of your request is not an object.")
    model = request.get("model")
    if not isinstance(model, str) or not model:
        raise ApiError("You must provide a model parameter.", "model")
    if request.get("stream"):
        raise ApiError("This server does not stream: leave 'stream' out.", "stream")
    if request.get("n") not in (None, 1):
        raise ApiError("This server gives one choice: leave 'n' out.", "n")
    messages = request.get("messages")
    if not isinstance(messages, list) or not messages:
        raise ApiError("'messages' must be a list of at least one message.", "messages")
    texts = tuple(_text(message, f"messages[{i}]") for i, message in enumerate(messages))
    return Chat(model, texts, _wants_verdict(request, messages, texts))


def _text(message: Any, where: str) -> str:
    if not isinstance(message, dict):
        raise ApiError(f"{where} is not an object.", where)
    if message.get("role") not in ROLES:
        raise ApiError(f"{where}.role must be one of {', '.join(ROLES)}.", f"{where}.role")
    content = message.get("content")
    if content is None and message["role"] == "assistant":
        return ""
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ApiError(f"{where}.content must be a string or a list of text parts.", f"{where}.content")
    return _encodable("\n".join(map(str, texts)))


def _encodable(text: str) -> str:
    """JSON may smuggle in halves of characters (lone surrogates), which no answer could carry."""
    return text.encode("utf-8", "replace").decode()


def _wants_verdict(request: dict[str, Any], messages: list[Any], texts: tuple[str, ...]) -> bool:
    wanted = request.get("response_format")
    if isinstance(wanted, dict) and wanted.get("type") in ("json_object", "json_schema"):
        return True
    pairs = zip(messages, texts, strict=True)
    return any(m["role"] in ("system", "developer") and "fact" in text.lower() for m, text in pairs)


def read_order(headers: Mapping[str, str], text: str) -> Order:
    """What the headers order and, where they are silent, the text. Raises ApiError for a bad value."""
    words = dict(WORD.findall(text))
    names = ("delay", "status", "retry-after", "bad", "times")
    wanted = {name: headers.get(f"x-standin-{name}", words.get(name, "")) for name in names}
    status = int(_number("status", wanted["status"], 400, 599))
    return Order(
        delay=_number("delay", wanted["delay"], 0, MAX_DELAY),
        status=status,
        retry_after=wanted["retry-after"] or ("1" if status == 429 else ""),
        bad=_one_of("bad", wanted["bad"], BAD_ANSWERS),
        times=int(_number("times", wanted["times"], 0, 1000)) if wanted["times"] else None,
    )


def _number(name: str, value: str, low: float, high: float) -> float:
    if not value:
        return 0.0
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not low <= number <= high:  # NaN is in no range either
        raise ApiError(f"{name}={value} is not a number from {low:g} to {high:g}.", name)
    return number


def _one_of(name: str, value: str, known: tuple[str, ...]) -> str:
    if value and value not in known:
        raise ApiError(f"{name}={value} is not one of {', '.join(known)}.", name)
    return value
