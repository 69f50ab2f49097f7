from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.stack.conftest import rabbitmq_is_slow
from tests.stack.pictures import PHOTO, bomb, picture
from tests.stack.stack import wait_for

KEPT = "select (select count(*) from images), (select count(*) from blobs), (select count(*) from image_variants)"
BYTES_OF_FAILED = "select count(*) from blobs, images where state = 'failed' and key like images.id || '/%'"
UNFINISHED = "select count(*) from images where state = 'processing'"


def assert_refused(answer, *statuses):
    assert answer.status_code in statuses, answer.text
    assert set(answer.json()) >= {"error", "remedy"}, answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(b"hello, I am a text", 415, id="not an image"),
        pytest.param(b"", 415, id="empty"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, id="svg"),
        pytest.param(PHOTO + bytes(30_000_000), 413, id="30 MB"),
        pytest.param(bomb(20_000), 413, id="bomb"),
    ],
)
def test_an_upload_that_cannot_be_a_picture_is_refused_and_leaves_nothing(stack, data, status):
    before = stack.rows(KEPT)
    assert_refused(stack.upload(data), status)
    assert stack.rows(KEPT) == before


@pytest.mark.parametrize("kept", [0.5, 0.99])
def test_a_truncated_jpeg_fails_readably_and_keeps_no_bytes(stack, kept):
    answer = stack.upload(PHOTO[: int(len(PHOTO) * kept)])
    if answer.status_code != 202:
        assert_refused(answer, 400, 415, 422)
        return
    status = stack.follow(answer.json()["task"])[-1]
    assert status["state"] == "FAILURE"
    assert "damaged or cut off" in status["error"]
    assert "Traceback" not in status["error"]

    def failed():
        image = stack.api.get(answer.json()["image"]).json()
        return image["state"] == "failed" and image

    image = wait_for("the error callback, which runs when the failure was told", failed)
    assert "damaged or cut off" in image["error"]
    assert image["thumbnails"] == []
    assert stack.rows(BYTES_OF_FAILED) == "0"
    assert stack.rows(UNFINISHED) == "0"


@rabbitmq_is_slow
def test_large_uploads_at_once_wait_their_turn_and_cost_no_api(stack):
    data = picture(2640, 2640, "BMP")
    assert 20_000_000 < len(data) < 20_971_520, "as large as an upload may be"

    def upload(_):
        files = {"file": ("large.bmp", data)}
        return httpx.post(f"{stack.url('API_PORT')}/images", files=files, timeout=120, trust_env=False)

    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(upload, range(8)))

    assert {answer.status_code for answer in answers} <= {202, 503}, [answer.text for answer in answers]
    assert stack.containers()["api"]["RestartCount"] == 0
    for answer in answers:
        if answer.status_code == 202:
            stack.follow(answer.json()["task"], timeout=180)


@pytest.mark.parametrize(
    ("method", "path", "options", "statuses"),
    [
        ("GET", "/tasks/00000000-0000-4000-8000-000000000000", {}, (404,)),
        ("GET", "/tasks/no-such-task", {}, (404, 422)),
        ("GET", "/images/00000000-0000-4000-8000-000000000000", {}, (404,)),
        ("GET", "/nowhere", {}, (404,)),
        ("DELETE", "/images", {}, (405,)),
        ("POST", "/posts", {"content": b"{broken", "headers": {"Content-Type": "application/json"}}, (400, 422)),
        ("POST", "/users", {"json": {"email": "no address", "name": "x"}}, (400, 422)),
        ("POST", "/images", {"data": {"file": "no file"}}, (400, 422)),
        ("POST", "/faults/count", {"json": {"count": -1}}, (400, 422)),
        ("POST", "/faults/count", {"json": {"count": 10_000_000}}, (400, 422)),
        ("POST", "/faults/count", {"json": {"count": 1, "queue": "nowhere"}}, (400, 404, 422)),
        ("POST", "/faults/sleep", {"json": {"seconds": -1}}, (400, 422)),
        ("POST", "/faults/nothing", {"json": {}}, (404, 422)),
        ("GET", "/faults/ledger/00000000-0000-4000-8000-000000000000", {}, (404,)),
    ],
)
def test_a_wrong_request_gets_a_clear_answer(stack, method, path, options, statuses):
    assert_refused(stack.api.request(method, path, **options), *statuses)
