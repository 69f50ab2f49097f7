from __future__ import annotations

import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeout

SOMETHING = "9b2f6a0e-6c0a-4c3e-9d64-2f3b6f0c1d11"


def check(answer, status, *parts):
    body = answer.json()
    assert answer.status_code == status, body
    assert {"error", "remedy"} <= set(body)
    text = f"{body['error']} {body['remedy']}"
    assert all(str(part) in text for part in parts), text
    assert "Traceback" not in answer.text


def test_malformed_json_names_the_position(client):
    check(client.post("/users", content='{"email": "a@b.co", name}'), 400, "character 20", "double quotes")


def test_an_unknown_route_and_a_wrong_method(client):
    check(client.get("/nope"), 404, "'/nope'", "/docs")
    check(client.delete("/users"), 405, "DELETE", "'/users'", "Use POST")


@pytest.mark.parametrize("path", ["/users/7", "/posts/7", "/images/7", "/tasks/7", "/faults/ledger/7"])
def test_an_id_that_is_no_uuid_is_named(client, path):
    check(client.get(path), 422, "'7'", "UUID")


@pytest.mark.parametrize(
    "path",
    ["/users/", "/posts/", "/posts?before=", "/images/", "/tasks/", "/faults/ledger/"],
)
def test_an_id_that_nothing_has_is_named(client, path):
    check(client.get(path + SOMETHING), 404, SOMETHING)


def test_a_body_that_is_not_sent_as_json(client):
    answer = client.post(
        "/faults/count", content="count=3", headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    check(answer, 422, "application/x-www-form-urlencoded", "Content-Type: application/json")


@pytest.mark.parametrize("body", ["[]", "7", '"x"'])
def test_a_body_that_is_no_object(client, body):
    check(client.post("/users", content=body), 422, "The body", body.strip('"'))


def test_an_empty_body_and_a_field_that_is_missing_or_unknown(client):
    check(client.post("/users"), 422, "The body is missing")
    check(client.post("/users", json={"email": "a@b.co"}), 422, "name is missing")
    check(client.post("/faults/count", json={"conut": 3}), 422, "conut = 3", "not permitted")


def test_a_long_value_is_shown_in_part(client):
    answer = client.post("/users", json={"email": "a@b.co", "name": "x" * 5000})
    check(answer, 422, "name = 'xxx", "(5002 characters)", "at most 100")
    assert len(answer.text) < 400


def test_a_long_name_is_shown_in_part(client):
    answer = client.post("/users", json={"email": "a@b.co", "name": "Ada", "x" * 5000: 1})
    check(answer, 422, "'xxx", "(5002 characters) = 1 is not valid")
    assert len(answer.text) < 400
    answer = client.post("/faults/" + "x" * 5000, json={})
    check(answer, 404, "no fault 'xxx", "(5002 characters)")
    assert len(answer.text) < 400


def test_a_name_that_no_terminal_should_get_is_escaped(client):
    check(client.post("/faults/count", json={"\x1b[2J": 1}), 422, "'\\x1b[2J' = 1")


@pytest.mark.parametrize("body", ['{"email": "a@b.co", "name": "\\ud800"}', '{"email": "\\ud800", "name": "x"}'])
def test_half_a_surrogate_pair_is_no_fault_of_ours(client, body):
    check(client.post("/users", content=body), 422, "ud800")


def test_a_large_body_is_refused(client):
    check(client.post("/posts", content=b'{"body": "' + b"x" * 2_000_000 + b'"}'), 413, "262144", "Send less")


def test_a_database_without_tables(client, reconfigure, tmp_path):
    reconfigure(DATABASE_URL=f"sqlite:///{tmp_path}/empty.db")
    check(client.get(f"/users/{SOMETHING}"), 503, "database", "app.migrate")


def test_a_database_that_is_away(client, reconfigure):
    reconfigure(DATABASE_URL="postgresql+psycopg://app@127.0.0.1:1/app")
    check(client.get(f"/users/{SOMETHING}"), 503, "The database does not answer")
    check(client.post("/users", json={"email": "a@b.co", "name": "Ada"}), 503, "The database does not answer")


def test_no_free_connection(client, monkeypatch):
    def taken():
        raise PoolTimeout("QueuePool limit reached")

    monkeypatch.setattr("app.api.users.transaction", taken)
    check(client.get(f"/users/{SOMETHING}"), 503, "The database does not answer")


def test_a_fault_of_ours_is_admitted(client, monkeypatch):
    monkeypatch.setattr("app.submit.look_up", lambda _: 1 / 0)
    answer = client.get(f"/tasks/{SOMETHING}")
    check(answer, 500, "fault of ours", "report")
    assert "division" not in answer.text


def test_a_wrong_method_is_told_every_right_one(client):
    answer = client.options("/posts")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    assert answer.json()["remedy"] == "Use GET, POST."
