"""What parent and children of the direct pool share: slots, orders, pipes, tallies. Forked where it matters."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace

import pytest

from celery_runtime.direct.orders import Orders, TaskOrder
from celery_runtime.direct.pipe import CHUNK, Kind, pair
from celery_runtime.direct.slot import TAG, DamagedError, Field, Slot
from celery_runtime.direct.tallies import ROWS, SIZE, Tallies


def in_a_child(work):
    """Run `work` in a forked process that ends as a killed one does."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


@pytest.fixture
def slot():
    slot = Slot(SIZE)
    yield slot
    slot.close()


def test_what_a_child_held_outlives_it(slot):
    message = os.urandom(200_000)

    def work():
        assert slot.hold("media", "tag-1", message)
        slot.begin(12.5, 3, 4)

    in_a_child(work)

    look = slot.look()
    assert (look.held, look.began, look.queue, look.tag) == (True, True, "media", "tag-1")
    assert (look.sequence, look.started, look.soft, look.hard) == (1, 12.5, 3, 4)
    assert slot.message() == message


def test_a_message_that_is_settled_is_not_shown(slot):
    slot.hold("media", "tag-1", b"{}")
    slot.release()

    assert (slot.look().held, slot.look().tag) == (False, "")


def test_names_that_do_not_fit_are_refused(slot):
    assert slot.hold("media", "t" * TAG, b"{}")
    assert not slot.hold("media", "t" * (TAG + 1), b"{}")
    assert not slot.hold("q" * 161, "tag", b"{}")


@pytest.mark.parametrize("field", [Field.SEQUENCE, Field.STARTED, Field.HELD, Field.SOFT])
@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1.0])
def test_numbers_that_make_no_sense_are_found_out(slot, field, number):
    slot.hold("media", "tag-1", b"{}")
    slot.numbers[field] = number

    with pytest.raises(DamagedError):
        slot.look()


def test_a_slot_that_is_all_ones_and_a_length_that_is_none_are_found_out(slot):
    slot.hold("media", "tag-1", b"{}")
    slot.numbers[Field.LENGTH] = 1e9
    with pytest.raises(DamagedError):
        slot.message()

    slot._memory[:] = b"\xff" * len(slot._memory)
    with pytest.raises(DamagedError):
        slot.look()
    assert list(Tallies(slot.extra).read(["a"])) == []


def test_children_read_what_was_ordered():
    orders = Orders(["a", "b"])
    tasks = [TaskOrder(True, 1.5, 2.5), TaskOrder(False, 0, 0)]

    assert orders.publish(["media", "mail"], tasks)
    assert not orders.publish(["media", "mail"], tasks)

    _, queues, said = orders.read()
    assert (queues, said) == (["media", "mail"], tasks)
    with pytest.raises(ValueError, match="names of 2000 queues"):
        orders.publish([f"{number:040}" for number in range(2000)], tasks)


def test_every_revoked_id_is_perhaps_revoked_and_hardly_another():
    orders = Orders(["a"])
    assert not orders.perhaps_revoked("id-1")

    orders.revoke(f"id-{number}" for number in range(1000))

    assert all(orders.perhaps_revoked(f"id-{number}") for number in range(1000))
    assert sum(orders.perhaps_revoked(f"other-{number}") for number in range(1000)) < 10


def test_frames_arrive_whole_and_in_order_however_they_are_torn():
    parent, child = pair()
    large = os.urandom(3 * CHUNK)

    def work():
        child.send(Kind.IDLE)
        child.send(Kind.MESSAGE, ("media", "tag", large))
        child.send(Kind.ASK)

    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    child.socket.close()
    heard = []
    deadline = time.monotonic() + 10
    while not parent.ended:
        assert time.monotonic() < deadline
        heard += parent.frames()
    os.waitpid(pid, 0)
    parent.close()

    assert heard == [(Kind.IDLE, None), (Kind.MESSAGE, ("media", "tag", large)), (Kind.ASK, None)]


def test_an_answer_is_told_apart_from_being_woken():
    parent, child = pair()
    parent.wake()
    parent.answer(700)
    assert child.ask() == 700
    parent.wake()
    parent.answer(None)
    assert child.ask() is None

    parent.wake()
    child.clear()
    parent.answer(None)
    assert child.ask() is None
    for end in (parent, child):
        end.socket.close()


def test_what_children_counted_is_told_by_task_and_queue(slot):
    work = SimpleNamespace(place=1, id="b3d8", request={"published_at": 90.0})

    def count():
        tallies = Tallies(slot.extra)
        tallies.count(work, "media", 100.0, None)
        tallies.count(work, "media", 100.0, SimpleNamespace(state="FAILURE"))
        tallies.count(work, "mail", 100.0, SimpleNamespace(state="RETRY"))

    in_a_child(count)
    in_a_child(count)  # the next child goes on with the same rows

    found = dict(Tallies(slot.extra).read(["a", "b"]))
    assert set(found) == {("b", "media"), ("b", "mail")}
    media = found["b", "media"]
    assert (media.received, media.started) == (4, 4)
    assert {name: number for name, number in media.outcomes.items() if number} == {"succeeded": 2, "failed": 2}
    assert sum(media.wait.counts) == 4
    assert media.wait.total == 40


def test_more_tasks_than_rows_are_counted_together(slot):
    tallies = Tallies(slot.extra)
    for number in range(ROWS + 5):
        tallies.count(SimpleNamespace(place=number, id=str(number), request={}), "media", 0.0, None)

    found = list(Tallies(slot.extra).read([str(number) for number in range(ROWS + 5)]))
    assert len(found) == ROWS
    assert found[-1][0] == ("other", "other")
    assert found[-1][1].received == 6
