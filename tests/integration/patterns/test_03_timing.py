"""Tasks with an ETA, a countdown, an expiry."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def test_row_03_a_post_is_published_at_its_time_unless_it_is_called_off(service, user, post, mails, eventually):
    ada = user()
    due = datetime.now(UTC) + timedelta(seconds=4)
    wanted = post(ada, "What I say tomorrow", publish_at=due.isoformat())
    unwanted = post(ada, "What I had better not say", publish_at=due.isoformat())
    assert service.api.get(f"/posts/{wanted['id']}").json()["published_at"] is None
    assert wanted["id"] not in [entry["id"] for entry in service.api.get("/posts").json()["posts"]]

    assert service.api.delete(f"/posts/{unwanted['id']}").status_code == 204

    def published():
        return service.api.get(f"/posts/{wanted['id']}").json()["published_at"]

    assert datetime.fromisoformat(eventually(published, "the post to be published")) >= due
    eventually(lambda: mails(ada["email"], "published"), "the mail about it")
    assert service.api.get(f"/posts/{unwanted['id']}").status_code == 404
    assert len(mails(ada["email"], "published")) == 1
    assert service.api.delete(f"/posts/{wanted['id']}").status_code == 409


def test_row_03_a_countdown_is_waited_for_and_what_expires_in_it_never_starts(service, rows, eventually):
    expired = service.fault("count", countdown=2, expires=1)["batch"]
    began = datetime.now(UTC)
    later = service.fault("count", countdown=2.5, expires=60)["batch"]

    eventually(lambda: service.ledger(later)["ended"], "the task with a countdown")
    ((start,),) = rows("SELECT at FROM fault_events WHERE batch = :batch AND kind = 'start'", batch=later)
    assert start - began >= timedelta(seconds=2.5)
    assert service.ledger(expired)["started"] == 0
