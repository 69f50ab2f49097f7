"""One event, and subscribers that know nothing of each other."""

from __future__ import annotations


def test_row_09_fan_out_reaches_every_subscriber(service, user, post, mails, eventually):
    ada = user()
    made = post(ada, "Fanfare: the Earth is round.")

    eventually(lambda: mails(ada["email"], "Welcome"), "the welcome")
    eventually(lambda: mails(ada["email"], "published"), "the announcement")
    eventually(lambda: mails(ada["email"], "checked: true"), "the verdict")
    found = eventually(lambda: service.api.get("/search?q=fanfare").json()["posts"], "the post to be found")
    assert made["id"] in [entry["id"] for entry in found]


def test_row_09_fan_out_goes_on_when_one_subscriber_fails(service, broker, user, post, mails, eventually):
    unreachable = user(email=f"bounce@fan-{broker}.example")
    made = post(unreachable, f"Fiasco{broker}: the Earth is flat.")

    check = eventually(lambda: service.api.get(f"/posts/{made['id']}").json()["fact_check"], "the verdict")
    eventually(lambda: service.api.get(f"/search?q=fiasco{broker}").json()["posts"], "the post to be found")
    eventually(lambda: service.log("worker-email").count(f"bounce@fan-{broker}") >= 3, "three mails to be refused")

    assert check["verdict"] == "false"
    assert mails(unreachable["email"]) == []


def test_row_09_fan_out_of_what_was_rolled_back_is_none(service, user, mails, eventually):
    ada = user()
    again = service.api.post("/users", json={"email": ada["email"], "name": "Somebody else"})
    assert again.status_code == 409

    last = user()
    eventually(lambda: mails(last["email"], "Welcome") and mails(ada["email"], "Welcome"), "the welcomes")
    assert len(mails(ada["email"])) == 1
    assert "NoResultFound" not in service.log("worker-email"), "somebody was told of a user who is not there"
