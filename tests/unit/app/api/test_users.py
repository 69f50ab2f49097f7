from __future__ import annotations

import pytest


def test_a_user_is_created_and_read(client):
    created = client.post("/users", json={"email": "Ada@Example.org", "name": " Ada Lovelace ❤ "})
    assert created.status_code == 201
    user = created.json()
    assert (user["email"], user["name"]) == ("ada@example.org", "Ada Lovelace ❤")
    assert user["created_at"].endswith("Z")
    assert client.get(f"/users/{user['id']}").json() == user


def test_an_address_has_one_user(client):
    assert client.post("/users", json={"email": "ada@example.org", "name": "Ada"}).status_code == 201
    again = client.post("/users", json={"email": "ADA@example.org", "name": "Other"})
    assert again.status_code == 409
    assert "'ada@example.org'" in again.json()["error"]


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ada",
        "ada@",
        "@example.org",
        "a b@example.org",
        "a@b.co\nBcc: x@y.zz",
        "a@b\0.co",
        "ä@b.co",
        "a@" + "b" * 260,
    ],
)
def test_an_address_that_mail_cannot_go_to(client, email):
    answer = client.post("/users", json={"email": email, "name": "Ada"})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("email = ")


def test_an_address_that_mail_programs_decode_to_another(client):
    answer = client.post("/users", json={"email": "=?utf-8?q?victim=40evil.org?=@b.c", "name": "Ada"})
    assert answer.status_code == 422
    assert "it contains '=?'" in answer.json()["error"]


@pytest.mark.parametrize("name", ["", "  ", "A\0da", "Ada\nBcc: x", "x" * 101])
def test_a_name_that_is_none(client, name):
    answer = client.post("/users", json={"email": "ada@example.org", "name": name})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("name = ")
