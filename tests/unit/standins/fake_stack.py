"""A stack that promises whatever a test wants: the API's and the mail stand-in's answers, from a table."""

import io
import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

from PIL import Image

from tests.serving import Serving

Answers = dict[str, Any]  # "GET /path" -> JSON, bytes, (status, JSON), or a function that returns one of them


def jpeg(width: int, height: int, exif: bool = False) -> bytes:
    """A small picture, with the name of a camera in its EXIF if wanted."""
    fields = Image.Exif()
    fields[0x010F] = "Example Camera"
    options = {"exif": fields} if exif else {}
    out = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(out, "JPEG", **options)
    return out.getvalue()


def variant(url: str, width: int, height: int, exif: bool = False) -> tuple[dict[str, Any], bytes]:
    data = jpeg(width, height, exif)
    return {"width": width, "height": height, "bytes": len(data), "url": url}, data


def good_answers(photo: bytes, size: tuple[int, int], thumbnails: dict[int, tuple[int, int]]) -> Answers:
    """A stack in which everything works, for one picture of `size`."""
    compressed, compressed_data = variant("/images/7/compressed", *size)
    answers: Answers = {
        "GET /healthz": {"status": "ok"},
        "POST /images": (202, {"image_id": 7, "task_id": "t", "image": "/images/7", "task": "/tasks/t"}),
        "GET /tasks/t": {"id": "t", "state": "SUCCESS", "progress": None, "error": None},
        "GET /images/7/compressed": compressed_data,
        "GET /api/messages": [{"to": ["ann@example.com"], "subject": "Ready", "text": "See /images/7."}],
        "POST /faults/count": (202, {"batch": "b", "accepted": 20}),
        "GET /faults/ledger/b": {"accepted": 20, "started": 20, "ended": 20, "lost": 0, "doubled": 0},
    }
    listed = []
    for longest, shape in thumbnails.items():
        entry, answers[f"GET /images/7/thumbnails/{longest}"] = variant(f"/images/7/thumbnails/{longest}", *shape)
        listed.append({"size": longest, **entry})
    original = {"width": size[0], "height": size[1], "bytes": len(photo)}
    answers["GET /images/7"] = {
        "id": 7, "state": "ready", "error": None, "original": original,
        "compressed": compressed, "thumbnails": listed, "metadata": {},
    }  # fmt: skip
    return answers


class FakeStack(Serving):
    """Serves a table of answers."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        super().__init__(self._handler())

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answers = self.answers

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                answer = answers.get(f"{self.command} {self.path}", (404, {"error": "unknown", "remedy": "none"}))
                status, body = _unpacked(answer)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815  the name is http.server's

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def _unpacked(answer: Any) -> tuple[int, bytes]:
    if isinstance(answer, Callable):
        answer = answer()
    status, body = answer if isinstance(answer, tuple) else (200, answer)
    return status, body if isinstance(body, bytes) else json.dumps(body).encode()
