from __future__ import annotations

import pytest

BODY = {"email": "ada@example.org", "name": "Ada"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 201),
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({"Sec-Fetch-Site": "none"}, 201),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),  # another port of this machine
        ({"Origin": "http://testserver"}, 201),
        ({"Origin": "http://elsewhere.example"}, 403),
        ({"Origin": "http://testserver.elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://elsewhere.example", "Sec-Fetch-Site": "same-origin"}, 201),  # behind a proxy that renames
    ],
)
def test_what_changes_something_comes_from_here_or_from_a_program(client, headers, status):
    answer = client.post("/users", json=BODY, headers=headers)
    assert answer.status_code == status
    assert status == 201 or answer.json()["remedy"]


def test_reading_is_free(client):
    assert client.get("/posts", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/docs", "/static/page.js", "/posts", "/nowhere", "/healthz"])
def test_every_answer_forbids_what_is_not_from_here(client, path):
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy
    assert headers["x-content-type-options"] == "nosniff"
