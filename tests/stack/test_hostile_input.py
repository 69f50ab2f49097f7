"""What nobody sends by accident. Fields and ids come from the OpenAPI document, so that new ones are tried too."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from uuid import uuid4

import httpx
import pytest

from tests.stack.conftest import rabbitmq_is_slow
from tests.stack.pictures import PHOTO, picture
from tests.stack.stack import wait_for
from tests.stack.test_bad_input import UNFINISHED, assert_refused

HOSTILE = {
    "SQL": "x'); DROP TABLE users; --",
    "SQL, quoted": '" OR 1=1 UNION SELECT * FROM users --',
    "HTML": "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&amp;",
    "a template": "{{ 7 * 7 }} ${7 * 7} <%= 7 * 7 %> {% raw %}",
    "a path": "../../../../etc/passwd",
    "right to left": "\u202eevil\u202c \u05d0\u05d1\u05d2 \u0645\u0631\u062d\u0628\u0627",
    "four bytes": "\U0001f469\U0001f3fd\u200d\U0001f52c \U0001f600 \U00020bb7 \U0010fffd",
    "combining marks": "Z" + "\u0300\u0489\u0353" * 30,
    "wide as a line": "\ufdfd" * 90,
}
UNSTORABLE = {"NUL": '"a\\u0000b"', "half a pair": '"a\\ud800b"', "pair reversed": '"\\udc00\\ud800"'}
UPLOADS = 1000
AT_ONCE = 4  # as many as the API takes in; more must wait
TABLES = "select count(*) from information_schema.tables where table_schema = 'public'"
PEAK = "cat /sys/fs/cgroup/memory.peak 2>/dev/null || cat /sys/fs/cgroup/memory/memory.max_usage_in_bytes"


@pytest.fixture(scope="module")
def document(stack):
    return stack.api.get("/openapi.json").json()


@pytest.fixture(scope="module")
def user(stack):
    body = {"email": f"{secrets.token_hex(6)}@example.org", "name": "Ada"}
    return stack.api.post("/users", json=body).raise_for_status().json()


def operations(document, kind):
    """Path and JSON schema of the body, for each POST, PUT and PATCH that has one."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {}).get(kind)
            if content:
                yield method.upper(), path, resolved(document, content["schema"])


def resolved(document, schema):
    options = [schema, *schema.get("anyOf", ())]
    reference = next((each["$ref"] for each in options if "$ref" in each), None)
    return document["components"]["schemas"][reference.split("/")[-1]] if reference else schema


def example(schema):
    """A valid body, of the examples that the document gives."""
    return {name: about["examples"][0] for name, about in schema["properties"].items() if about.get("examples")}


def filled(path):
    return re.sub(r"\{(\w+)\}", lambda found: "count" if found[1] == "name" else str(uuid4()), path)


@rabbitmq_is_slow
def test_every_wrong_type_is_refused_by_the_name_of_its_field(stack, document):
    tried = 0
    for method, path, schema in operations(document, "application/json"):
        for name in schema["properties"]:
            for wrong in ({"$gt": ""}, [[1]], {"a": {"b": []}}):
                answer = stack.api.request(method, filled(path), json=example(schema) | {name: wrong})
                assert_refused(answer, 404, 422)
                assert answer.status_code == 404 or name in answer.json()["error"], answer.text
                tried += 1
        for body in (b"[]", b'"text"', b"17", b"null", b"{", b"", b'{"a":' * 10_000):
            answer = stack.api.request(method, filled(path), content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code < 500, f"{method} {path} {body[:20]}: {answer.text}"
    assert tried >= 15


@rabbitmq_is_slow
def test_every_unknown_id_is_not_found_and_every_malformed_one_is_refused(stack, document):
    tried = 0
    for path, methods in document["paths"].items():
        if "_id}" in path or "{batch}" in path:
            for method in methods:
                answer = stack.api.request(method.upper(), filled_ids(path.replace("{size}", "64"), str(uuid4())))
                if method == "get":
                    assert_refused(answer, 404)
                for hostile in ("0", "%27%20OR%201=1--", "%00", "%ff%fe", "..%2f..%2fetc", "\U0001f600", "9" * 3000):
                    assert_refused(stack.api.request(method.upper(), filled_ids(path, hostile)), 404, 405, 422)
                tried += 1
    assert tried >= 6


def filled_ids(path, value):
    return re.sub(r"\{\w+\}", lambda _: value, path)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_is_text_is_stored_as_it_is_and_shown_as_text(stack, user, text):
    tables = stack.rows(TABLES)
    body = {"email": f"{secrets.token_hex(6)}@example.org", "name": text[:100]}
    named = stack.api.post("/users", json=body)
    if named.status_code == 201:
        assert stack.api.get(f"/users/{named.json()['id']}").json()["name"] == body["name"].strip()
    else:
        assert_refused(named, 422)
    post = stack.api.post("/posts", json={"user_id": user["id"], "body": text}).raise_for_status().json()

    assert stack.api.get(f"/posts/{post['id']}").json()["body"] == text
    shown = stack.api.get("/").text
    assert "<script>alert" not in shown and "<img src=x" not in shown
    assert stack.rows(TABLES) == tables and int(stack.rows("select count(*) from users")) > 0


@pytest.mark.parametrize("text", UNSTORABLE.values(), ids=UNSTORABLE)
def test_what_the_database_cannot_store_is_refused_in_every_text_field(stack, document, user, text):
    """With an owner that exists: one that is not found would be told before the text is looked at."""
    tried = 0
    for method, path, schema in operations(document, "application/json"):
        for name, about in schema["properties"].items():
            if about.get("type") == "string" and about.get("format") is None:
                owner = {"user_id": user["id"]} if "user_id" in schema["properties"] else {}
                whole = json.dumps(example(schema) | owner | {name: "HERE"}).replace('"HERE"', text)
                answer = stack.api.request(method, filled(path.replace("{user_id}", user["id"])), content=whole)
                assert_refused(answer, 404, 422)
                tried += answer.status_code == 422
    assert tried >= 3


@pytest.mark.parametrize("path", ["/users", "/posts", "/faults/count"])
def test_a_body_too_large_is_refused_whether_or_not_it_says_so(stack, path):
    large = b'{"name": "' + b"x" * 300_000 + b'"}'

    def in_pieces():
        yield from (large[start : start + 65_536] for start in range(0, len(large), 65_536))

    for content in (large, in_pieces()):
        assert_refused(stack.api.post(path, content=content), 413)


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=1e9", "limit=%00", "before=' OR 1=1--", "before=%ff"])
def test_a_hostile_query_is_refused(stack, query):
    assert_refused(stack.api.get(f"/posts?{query}"), 422)


@pytest.mark.parametrize("stack", ["redis"], indirect=True)
def test_a_thousand_uploads_at_once_cost_no_api_and_what_was_accepted_is_processed(stack):
    """Most break off half-way: one task finds that out, where a whole picture takes seven."""
    whole, broken = picture(80, 60, "JPEG"), PHOTO[:20_000]
    refused = re.compile("wait already")

    async def send(client, number):
        name, data = ("whole.jpg", whole) if number % 20 == 0 else ("broken.jpg", broken)
        return await client.post("/images", files={"file": (name, data)})

    async def send_all():
        limits = httpx.Limits(max_connections=UPLOADS)
        async with httpx.AsyncClient(
            base_url=stack.url("API_PORT"), limits=limits, timeout=120, trust_env=False
        ) as client:
            return await asyncio.gather(*(send(client, number) for number in range(UPLOADS)))

    answers = asyncio.run(send_all())

    accepted = [answer.json() for answer in answers if answer.status_code == 202]
    turned_away = [answer for answer in answers if answer.status_code != 202]
    assert len(accepted) >= AT_ONCE
    for answer in turned_away:
        assert_refused(answer, 503)
        assert refused.search(answer.json()["error"]) and int(answer.headers["retry-after"]) > 0
    api = stack.containers()["api"]
    assert (api["RestartCount"], api["State"]["OOMKilled"]) == (0, False)
    assert int(stack.compose("exec", "-T", "api", "sh", "-c", PEAK).stdout) < api["HostConfig"]["Memory"]
    assert stack.api.get("/healthz").status_code == 200

    wait_for("every accepted upload to be processed", lambda: stack.rows(UNFINISHED) == "0", 240)
    known = stack.rows("select id from images").split()
    assert {upload["image_id"] for upload in accepted} <= set(known)
