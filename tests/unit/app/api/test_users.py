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


def test_who_registers_is_an_event_and_who_is_refused_is_none(client, happened):
    user = client.post("/users", json={"email": "ada@example.org", "name": "Ada"}).json()
    client.post("/users", json={"email": "ada@example.org", "name": "Eve"})
    assert happened() == [("UserRegistered", {"user_id": user["id"]})]


def test_another_name_is_an_event_and_the_same_one_is_none(client, happened):
    user = client.post("/users", json={"email": "ada@example.org", "name": "Ada"}).json()
    for name in ("Ada", "Ada King", "Ada King"):
        answer = client.patch(f"/users/{user['id']}", json={"name": name})
        assert (answer.status_code, answer.json()) == (200, user | {"name": name})
    assert happened()[1:] == [("UserRenamed", {"user_id": user["id"]})]


def test_a_name_for_nobody(client):
    answer = client.patch("/users/9b2f6a0e-6c0a-4c3e-9d64-2f3b6f0c1d11", json={"name": "Ada"})
    assert answer.status_code == 404


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "a\0b"}, {"name": "Ada", "email": "new@example.org"}])
def test_a_change_that_is_none(client, body):
    user = client.post("/users", json={"email": "ada@example.org", "name": "Ada"}).json()
    assert client.patch(f"/users/{user['id']}", json=body).status_code == 422
