"""A running stack as the smoke test sees it: requests with clear errors, waits with one common deadline."""

import time
from collections.abc import Callable
from typing import Any, Self

import httpx

REQUEST_TIMEOUT = 12.0  # seconds; the API answers within 10 even when its broker is away
FIRST_WAIT, LONGEST_WAIT = 0.05, 0.5  # seconds between two looks; short at first, most things take 0.2 s


class SmokeError(Exception):
    """A step that failed. Its text says what is wrong, with what value, and what to look at."""


class SkippedError(Exception):
    """A step that this stack cannot take, and why."""


class Stack:
    """The running stack, as a client sees it. `deadline` is in seconds of time.monotonic()."""

    def __init__(self, api: str, mail: str, timeout: float) -> None:
        self.api = api.rstrip("/")
        self.mail = mail.rstrip("/")
        self.timeout = timeout
        self.deadline = time.monotonic() + timeout
        self._client = httpx.Client(timeout=REQUEST_TIMEOUT, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """What answers on a path of the API or on a URL. Raises SmokeError when nothing does."""
        url = path if path.startswith("http") else self.api + path
        try:
            return self._client.request(method, url, **options)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SmokeError(
                f"{method} {url}: no answer ({error or type(error).__name__}).\n  Is the stack up? See `make status`."
            ) from None

    def read(self, path: str) -> Any:
        """The JSON of a page that must be there."""
        return read_json(self.ask("GET", path))

    def wait(self, what: str, look: Callable[[], Any]) -> Any:
        """Looks until there is something to see. Raises SmokeError, naming what did not come, at the end."""
        pause = FIRST_WAIT
        while not (seen := look()):
            if time.monotonic() + pause > self.deadline:
                raise SmokeError(
                    f"{what} did not come within {self.timeout:g} s.\n  See `make logs`, or wait longer: --timeout."
                )
            time.sleep(pause)
            pause = min(pause * 1.5, LONGEST_WAIT)
        return seen


def field(answer: Any, name: str) -> Any:
    """A field that the interface promises. Raises SmokeError when it is missing."""
    if not isinstance(answer, dict) or answer.get(name) is None:
        raise SmokeError(f"the answer lacks {name!r}: {str(answer)[:300]}")
    return answer[name]


def read_json(answer: httpx.Response, status: int = 200) -> Any:
    """Raises SmokeError when the status is another or the body is no JSON."""
    expect(answer, status)
    try:
        return answer.json()
    except ValueError:
        raise SmokeError(f"{_request(answer)}: expected JSON, {shown(answer)}") from None


def expect(answer: httpx.Response, status: int) -> None:
    """Raises SmokeError when the status is another."""
    if answer.status_code != status:
        raise SmokeError(f"{_request(answer)}: expected status {status}, {shown(answer)}")


def shown(answer: httpx.Response) -> str:
    return f"got {answer.status_code}: {answer.text[:300]}"


def _request(answer: httpx.Response) -> str:
    return f"{answer.request.method} {answer.request.url}"
