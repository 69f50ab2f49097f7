from __future__ import annotations

from uuid import uuid4

import pytest

from app.tasks.bills import renew_subscriptions


@pytest.fixture
def ada(client):
    return client.post("/users", json={"email": "ada@example.org", "name": "Ada"}).json()["id"]


def subscribe(client, user, **changes):
    return client.post(f"/users/{user}/subscription", json={"plan": "basic", "zone": "UTC"} | changes)


def test_a_subscription_renews_on_todays_day_by_default_and_its_bill_can_be_paid(client, ada):
    made = subscribe(client, ada)
    assert made.status_code == 201
    assert made.json()["price_cents"] == 500 and made.json()["charged_cents"] == 0
    assert client.get(f"/users/{ada}/subscription").json() == made.json()

    assert renew_subscriptions.delay().get() == 1
    (bill,) = client.get(f"/users/{ada}/bills").json()
    assert bill["amount_cents"] == 500 and bill["paid_at"] is None
    assert client.get(f"/bills/{bill['id']}").json() == bill

    paid = client.post(f"/bills/{bill['id']}/pay")
    assert paid.status_code == 202
    assert client.get(f"/users/{ada}/subscription").json()["charged_cents"] == 500
    again = client.post(f"/bills/{bill['id']}/pay")
    assert again.status_code == 409 and "was paid at" in again.json()["error"]


def test_a_second_subscription_is_refused(client, ada):
    assert [subscribe(client, ada).status_code for _ in range(2)] == [201, 409]


@pytest.mark.parametrize(
    ("fault", "names"),
    [
        ({"plan": "gold"}, "plan"),
        ({"zone": "Mars/Olympus"}, "no time zone like Europe/Berlin"),
        ({"zone": "../../etc/passwd"}, "zone"),
        ({"zone": "UTC\0"}, "zone"),
        ({"zone": ""}, "zone"),
        ({"renews_on": 0}, "renews_on"),
        ({"renews_on": 32}, "renews_on"),
        ({"renews_on": "1"}, "renews_on"),
        ({"renews_on": 10**30}, "renews_on"),
        ({"price_cents": 1}, "price_cents"),
    ],
)
def test_what_is_wrong_is_named(client, ada, fault, names):
    answer = subscribe(client, ada, **fault)
    assert answer.status_code == 422 and names in answer.json()["error"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/users/{}/subscription"),
        ("GET", "/users/{}/subscription"),
        ("GET", "/users/{}/bills"),
        ("GET", "/bills/{}"),
        ("POST", "/bills/{}/pay"),
    ],
)
def test_an_unknown_id_is_not_found_and_one_that_is_none_is_named(client, method, path):
    body = {"json": {"plan": "basic", "zone": "UTC"}} if path.endswith("subscription") and method == "POST" else {}
    unknown = client.request(method, path.format(uuid4()), **body)
    assert unknown.status_code == 404 and unknown.json()["remedy"]
    assert client.request(method, path.format("none"), **body).status_code == 422


def test_half_a_surrogate_pair_is_no_zone(client, ada):
    body = b'{"plan": "basic", "zone": "\\ud800"}'
    answer = client.post(f"/users/{ada}/subscription", content=body)
    assert answer.status_code == 422 and "zone" in answer.json()["error"]


def test_every_answer_is_documented(client):
    paths = client.get("/openapi.json").json()["paths"]
    pay = paths["/bills/{bill_id}/pay"]["post"]
    assert pay["summary"] and {"202", "404", "409", "422", "503"} <= set(pay["responses"])
