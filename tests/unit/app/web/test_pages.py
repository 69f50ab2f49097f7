from __future__ import annotations

import pytest
from sqlalchemy import func, select

from app.models import Post, User

AUTHOR = {"email": "ada@example.org", "name": "Ada", "body": "It weaves."}


@pytest.fixture
def written(client, database):
    """write(form): the answer to the form, and how many users and posts there are then."""

    def write(**form):
        answer = client.post("/write", data=AUTHOR | form, follow_redirects=False)
        with database.transaction() as session:
            counts = [session.scalar(select(func.count()).select_from(table)) for table in (User, Post)]
        return answer, *counts

    return write


def test_a_post_creates_its_author_once_and_leads_back_to_the_page(client, written):
    answer, users, posts = written()
    assert (answer.status_code, answer.headers["location"], users, posts) == (303, "/#activity", 1, 1)
    assert "HttpOnly" in answer.headers["set-cookie"] and "SameSite=lax" in answer.headers["set-cookie"]
    _, users, posts = written(email="ADA@example.org", name="Somebody else")
    assert (users, posts) == (1, 2)
    page = client.get("/").text
    assert page.count('<h3 dir="auto">Ada</h3>') == 2 and "Somebody else" not in page
    assert page.count('<li id="item-') == 2


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"email": "nobody"}, "Your e-mail: It is not an e-mail address"),
        ({"name": " "}, "Your name: It is empty"),
        ({"name": "x" * 101}, "Your name: It has 101 characters, at most 100 are allowed."),
        ({"body": ""}, "Post: It is empty."),
        ({"body": "a\0b"}, "Post: It contains a NUL character"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_stored(written, form, told):
    answer, users, posts = written(**form)
    assert answer.status_code == 422 and told in answer.text and 'role="alert"' in answer.text
    assert "<title>Error: " in answer.text
    assert (users, posts) == (0, 0)


def test_what_was_typed_comes_back_escaped(written):
    answer, *_ = written(email='"><script>x</script>', body="</textarea><script>y</script>")
    assert "<script>x" not in answer.text and "<script>y" not in answer.text
    assert "&lt;script&gt;x" in answer.text and "&lt;/textarea&gt;" in answer.text


@pytest.mark.parametrize(
    ("files", "status", "told"),
    [
        ({"file": ("a.txt", b"text")}, 415, "not a picture"),
        ({"file": ("", b"")}, 422, "Choose a picture first."),
        ({}, 422, "Choose a picture first."),
        ({"other": ("a.jpg", b"text")}, 422, "Choose a picture first."),
        ({"file": ("a.jpg", bytes(2_000_000))}, 413, "more than the 1000000 allowed"),
    ],
)
def test_an_upload_that_is_none_is_told_at_its_field(client, reconfigure, files, status, told):
    reconfigure(MAX_UPLOAD_BYTES=1_000_000)
    from app.api.main import create
    from tests.unit.app.conftest import TestClient

    with TestClient(create()) as small:
        answer = small.post("/upload", files=files) if files else small.post("/upload", data={"x": "y"})
    assert answer.status_code == status and told in answer.text
    assert 'id="file-error"' in answer.text and answer.headers["content-type"].startswith("text/html")


def test_without_its_database_the_page_says_so(client, reconfigure):
    reconfigure(DATABASE_URL="postgresql+psycopg://app@127.0.0.1:1/app")
    for answer in (client.get("/"), client.post("/write", data=AUTHOR)):
        assert answer.status_code == 503
        assert "The database does not answer" in answer.text and "127.0.0.1" not in answer.text


def test_only_what_is_there_is_linked(client, reconfigure):
    assert "Grafana" not in client.get("/").text
    reconfigure(GRAFANA_URL="http://127.0.0.1:3000")
    assert '<a href="http://127.0.0.1:3000">Grafana</a>' in client.get("/").text


def test_what_is_gone_is_left_out_of_what_was_started(client):
    client.cookies.set("started", "post.9b2f6a0e-6c0a-4c3e-9d64-2f3b6f0c1d11")
    assert "Nothing yet." in client.get("/").text


def test_the_api_s_page_lists_every_operation(client):
    page = client.get("/docs").text
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        for method in methods:
            assert f"<code>{method.upper()} {path}</code>" in page
