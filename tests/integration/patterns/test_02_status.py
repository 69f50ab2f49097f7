"""What became of a task, in each of its states; an id that was never given out is not found."""

from __future__ import annotations

from uuid import uuid4

from tests.integration.processes import PHOTO


def test_row_02_a_waiting_task_is_pending_and_an_unknown_one_is_not_found(service):
    service.stop("worker-media")
    try:
        accepted = service.upload(PHOTO)
        damaged = service.upload(PHOTO.read_bytes()[:60_000])

        assert service.task(accepted["task_id"])["state"] == "PENDING"
        unknown = service.api.get(f"/tasks/{uuid4()}")
        assert unknown.status_code == 404 and unknown.json()["remedy"]
    finally:
        service.start_worker("media")

    (*_, done), (*_, failed) = service.follow(accepted["task_id"]), service.follow(damaged["task_id"])
    assert done["state"] == "SUCCESS" and done["result"]["image"] == accepted["image"] and done["error"] is None
    assert failed["state"] == "FAILURE" and failed["result"] is None
    assert "truncated" in failed["error"] and "Traceback" not in failed["error"]
