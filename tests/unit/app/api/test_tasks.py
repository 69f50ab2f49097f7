from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from celery.exceptions import ChordError

from app.celery import app
from app.pictures import PictureError


@pytest.fixture
def store():
    def keep(state, result):
        task_id = str(uuid4())
        app.backend.store_result(task_id, result, state)
        return task_id

    return keep


def ask(client, task_id):
    answer = client.get(f"/tasks/{task_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_waiting_task_is_told_apart_from_an_unknown_one(client, store):
    waiting = store("PENDING", None)
    assert ask(client, waiting) == {"id": waiting, "state": "PENDING", "progress": None, "result": None, "error": None}
    assert client.get(f"/tasks/{uuid4()}").status_code == 404


def test_progress_is_shown(client, store):
    meta = {"done": 3, "total": 7, "percent": 43, "step": "metadata"}
    answer = ask(client, store("PROGRESS", meta))
    assert (answer["state"], answer["progress"], answer["result"]) == ("PROGRESS", meta, None)


def test_a_running_task_shows_neither_result_nor_error(client, store):
    answer = ask(client, store("STARTED", {"pid": 7, "hostname": "worker"}))
    assert (answer["state"], answer["progress"], answer["result"], answer["error"]) == ("STARTED", None, None, None)


def test_a_result_is_shown(client, store):
    assert ask(client, store("SUCCESS", {"image": "/images/1"}))["result"] == {"image": "/images/1"}


@pytest.mark.parametrize("state", ["FAILURE", "RETRY"])
def test_an_error_is_shown_in_words(client, store, state):
    answer = ask(client, store(state, PictureError("the picture is cut off")))
    assert (answer["state"], answer["error"], answer["result"]) == (state, "the picture is cut off", None)


def test_the_error_of_a_chord_is_that_of_its_step(client, store):
    step = store("FAILURE", PictureError("the picture is cut off"))
    chord = store("FAILURE", ChordError(f"Dependency {step} raised PictureError('the picture is cut off')"))
    assert ask(client, chord)["error"] == "the picture is cut off"


def test_the_error_of_a_chord_whose_step_is_forgotten(client, store):
    chord = store("FAILURE", ChordError(f"Dependency {uuid4()} raised PictureError('cut off')"))
    assert "cut off" in ask(client, chord)["error"]


def test_a_result_store_that_is_away(client, monkeypatch):
    from app import submit

    def away(_):
        raise submit.BrokerAwayError("connection refused")

    monkeypatch.setattr(submit, "look_up", away)
    answer = client.get(f"/tasks/{UUID(int=7)}")
    assert answer.status_code == 503 and "goes on" in answer.json()["error"]
