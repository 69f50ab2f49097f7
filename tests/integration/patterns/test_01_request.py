"""A request that starts a task: the answer comes at once, with the id under which the task ends later."""

from __future__ import annotations

from tests.integration.processes import FINAL


def test_row_01_a_request_is_answered_before_its_task_ends_well_under_the_id_of_the_answer(story):
    accepted, seen, picture = story.accepted, story.seen, story.picture

    assert seen[0]["state"] not in FINAL
    assert {answer["id"] for answer in seen} == {accepted["task_id"]}
    assert seen[-1]["state"] == "SUCCESS"
    assert seen[-1]["result"]["image"] == accepted["image"]
    assert seen[-1]["error"] is None
    assert picture["state"] == "ready" and picture["id"] == accepted["image_id"]
