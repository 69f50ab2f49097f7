"""Likes are collected in Redis and added to the database a batch at a time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.patterns.killed_flush import STEPS
from tests.integration.processes import ROOT

SCRIPT = Path(__file__).with_name("killed_flush.py")


@pytest.fixture
def likes(service):
    """Like a post; and read how many likes it has."""

    def count(made, more=0):
        for _ in range(more):
            assert service.api.post(f"/posts/{made['id']}/likes").status_code == 202
        return service.api.get(f"/posts/{made['id']}").json()["likes"]

    return count


@pytest.fixture
def flush(service):
    """Flush in a process that is killed at a step; returns its exit code."""
    command = [sys.executable, SCRIPT]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, env=service.environment, text=True, **pipes) as process:

        def run(step):
            print(step, file=process.stdin, flush=True)
            return int(process.stdout.readline())

        yield run
        process.stdin.close()


def test_row_11_counters_are_flushed_and_their_author_told(service, user, post, likes, rows, send, mails, eventually):
    ada = user()
    made = post(ada, "Likeable")
    assert likes(made, more=3) == 3, "those that wait are shown"

    service.follow(send("app.tasks.counters.flush_likes"))

    assert rows("SELECT count FROM post_likes WHERE post_id = :id", id=made["id"]) == [(3,)]
    assert likes(made) == 3
    eventually(lambda: mails(ada["email"], "liked"), "the mail")


def test_row_11_counters_lose_and_double_nothing_wherever_the_flush_is_killed(user, post, likes, flush, rows, store):
    ada = user()
    made, other = post(ada, "Liked all the time"), post(ada, "Liked once")
    likes(other, more=1)
    given = 0
    for step in STEPS:
        given += 2
        assert likes(made, more=2) == given, f"before a flush that is killed {step}"
        assert flush(step) == -9
        assert likes(made) == given, f"after a flush that was killed {step}"
        given += 1
        assert likes(made, more=1) == given, f"one more after it was killed {step}"

    assert flush("never") == 0

    stored = "SELECT count FROM post_likes WHERE post_id = :id"
    assert rows(stored, id=made["id"]) == [(given,)] and rows(stored, id=other["id"]) == [(1,)]
    assert (likes(made), likes(other)) == (given, 1)
    assert not store.exists("likes:waiting", "likes:taken")
