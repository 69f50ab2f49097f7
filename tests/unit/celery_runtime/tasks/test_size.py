from __future__ import annotations

import pytest
from celery import chain, chord, group
from kombu.exceptions import EncodeError

from celery_runtime.tasks.size import ArgumentsTooLargeError, limit_arguments


@pytest.fixture
def take(app):
    limit_arguments(app, 4)

    @app.task(name="take")
    def take(*values): ...

    return take


def test_arguments_above_the_limit_are_refused_with_the_remedy(take):
    with pytest.raises(ArgumentsTooLargeError) as refused:
        take.delay("x" * 5000)
    assert str(refused.value).startswith("The arguments of take have 4.9 KiB, more than the 4 KiB allowed.\n")
    assert "pass its id" in str(refused.value) and "MAX_ARGUMENTS_KIB" in str(refused.value)


def test_arguments_below_the_limit_are_published(app, take):
    take.delay("x" * 3900)
    with app.connection_for_read() as connection:
        assert connection.default_channel.basic_get("celery") is not None


def test_a_task_sent_by_name_is_measured_too(app, take):
    with pytest.raises(ArgumentsTooLargeError):
        app.send_task("elsewhere", ["x" * 5000])


def test_bytes_count_not_letters(take):
    with pytest.raises(ArgumentsTooLargeError):
        take.delay("\N{SNOWMAN}" * 1000)  # six bytes each in JSON


def test_a_chain_may_carry_more_than_any_of_its_tasks_may_have(take):
    chain(take.s("x" * 1500), take.s("x" * 1500), take.s("x" * 1500)).delay()


def test_each_task_of_a_group_counts_alone(take):
    group(take.s("x" * 3000) for _ in range(5)).delay()


def test_a_chord_may_carry_more_than_any_of_its_tasks_may_have(take):
    chord([take.s("x" * 2000)], take.s("x" * 2500)).delay()


def test_what_cannot_be_serialized_keeps_its_own_error(take):
    with pytest.raises(EncodeError, match="not JSON serializable"):
        take.delay(object())
