from __future__ import annotations

import pytest
from amqp.exceptions import PreconditionFailed

from celery_runtime.queues import DAY
from celery_runtime.rabbitmq.topology import CONSUMER_TIMEOUT, dead_queue, explained, task_queue
from celery_runtime.settings import ConfigError


@pytest.mark.parametrize(
    ("ours", "theirs", "says"),
    [
        ("'6'", "'5'", "x-delivery-limit = 5, and this process wants 6."),
        ("none", "the value '5' of type 'signedint'", "x-delivery-limit = 5, and this process wants none."),
        ("the value '6' of type 'signedint'", "none", "x-delivery-limit = none, and this process wants 6."),
    ],
)
def test_changed_arguments_are_told_with_both_values_and_the_remedy(ours, theirs, says):
    where = "PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit' for queue 'q' in vhost 'v'"
    with pytest.raises(ConfigError) as error, explained():
        raise PreconditionFailed(f"{where}: received {ours} but current is {theirs}")

    assert f"queue 'q' has {says}" in str(error.value)
    assert "rabbitmqctl --vhost v delete_queue --if-empty q" in str(error.value)


def test_another_refusal_is_passed_on():
    with pytest.raises(PreconditionFailed), explained():
        raise PreconditionFailed("unknown delivery tag 3")


def test_a_queue_of_tasks_leads_to_its_dead_queue_and_outlasts_every_task():
    arguments = task_queue("media", 5).queue_arguments

    assert (arguments["x-dead-letter-exchange"], arguments["x-dead-letter-routing-key"]) == ("dead", "media")
    assert dead_queue("media").name == "dead.media" and dead_queue("media").routing_key == "media"
    assert arguments["x-consumer-timeout"] == CONSUMER_TIMEOUT > 1000 * DAY
    assert arguments["x-delivery-limit"] == 5
