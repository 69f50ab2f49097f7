"""What runs out of memory or disk for real, and what many starts of workers leave behind."""

from __future__ import annotations

import time

import pytest

from tests.stack.on_call import OnCall, beside
from tests.stack.stack import run, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]  # seconds; errors are remembered for 5 minutes

REPLACED = 50
COMPOSED = ("compose", "workers", "monitoring")
FILL = """
from app.celery import app
redis, n = app.backend.client, 0
for size in (4 << 20, 64 << 10, 1 << 10):
    try:
        while True:
            redis.set(f"fill:{n}", bytes(size))
            n += 1
    except Exception as error:
        print(n, error)
"""
EMPTY = """
from app.celery import app
redis = app.backend.client
for key in redis.scan_iter("fill:*", count=1000):
    redis.delete(key)
"""


def in_api(stack, script):
    result = stack.compose("exec", "-T", "api", "python", "-c", script)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_a_full_redis_refuses_tasks_and_wakes_somebody(stack, tmp_path):
    if stack.broker == "rabbitmq":
        pytest.skip("there RabbitMQ takes the tasks")
    with beside(stack, tmp_path) as on_call:
        try:
            assert "maxmemory" in in_api(stack, FILL)
            wait_for("a refusal", lambda: stack.api.post("/faults/count", json={"count": 1}).status_code == 503)
            on_call.fires("RedisMemory", "PublishErrors")
            assert "RedisEvictions" not in on_call.states()
        finally:
            in_api(stack, EMPTY)
        on_call.resolves("RedisMemory")
        on_call.patience["resolved"] = 400  # the errors of the last 5 minutes
        on_call.resolves("PublishErrors")


def test_a_worker_out_of_memory_wakes_somebody_and_its_task_is_kept(stack, tmp_path):
    with beside(stack, tmp_path) as on_call:
        assert stack.api.post("/faults/hog_memory", json={"count": 1}).status_code == 202
        on_call.patience["firing"] = (
            150  # five deliveries, each until a child is killed; on Redis with a pause between them
        )
        try:
            on_call.fires("DeadLetters", "PoolChildrenLost")
        finally:  # or else the next test to ask for a dead letter is told of none: this one is still firing
            result = stack.compose("exec", "-T", "api", "celery-runtime", "dead-letters", "purge", "--yes")
        assert result.returncode == 0, result.stderr
        on_call.resolves("DeadLetters")


def test_a_rabbitmq_without_disk_or_memory_wakes_somebody(stack, tmp_path):
    if stack.broker == "redis":
        pytest.skip("there is none")

    def control(*command):
        result = stack.compose("exec", "-T", "rabbitmq", "rabbitmqctl", *command)
        assert result.returncode == 0, result.stderr

    with beside(stack, tmp_path) as on_call:
        free = wait_for("RabbitMQ's disk", lambda: on_call.query("rabbitmq_disk_space_available_bytes"))[0]["value"][1]
        try:
            control("set_disk_free_limit", str(int(float(free) / 1.5)))
            on_call.fires("RabbitMQDisk")
            control("set_disk_free_limit", "512MiB")
            on_call.resolves("RabbitMQDisk")
            control("set_vm_memory_high_watermark", "absolute", "1MiB")
            on_call.fires("RabbitMQAlarm")
        finally:
            control("set_disk_free_limit", "512MiB")  # as in rabbitmq.conf
            control("set_vm_memory_high_watermark", "absolute", "460MiB")
        on_call.resolves("RabbitMQAlarm")


def test_a_worker_that_starts_again_and_again_wakes_somebody(stack, tmp_path):
    if stack.broker == "rabbitmq":
        pytest.skip("what a worker shows is the same there")
    with beside(stack, tmp_path) as on_call:
        started = 0.0
        for _ in range(4):
            started = wait_for("a start that is seen", lambda after=started: newest(on_call, after))
            assert run(["docker", "restart", stack.containers()["worker-email"]["Id"]]).returncode == 0
        on_call.fires("WorkerRestarts")


def test_fifty_replaced_workers_leave_no_series_behind(stack, tmp_path):
    if stack.broker == "rabbitmq":
        pytest.skip("what a worker shows is the same there")
    with beside(stack, tmp_path) as watch:
        ours, began = '{job="worker", worker="email"}', time.time()
        started = replace(stack, watch, 0)
        labels, number = watch.labels(ours, began), shown(watch, ours)
        of_the_stack = OnCall(stack)  # which asks celery-exporter too
        others = of_the_stack.labels('{job="exporter"}', began - 3600)
        for _ in range(REPLACED):
            started = replace(stack, watch, started)

        assert watch.labels(ours, began) == labels
        wait_for("one worker's series", lambda: shown(watch, ours) == number)
        # The rules are gone through a moment after the scrape that brought the worker.
        wait_for("one recorded series", lambda: shown(watch, '{__name__=~"worker:.+", worker="email"}') == 1)
        assert of_the_stack.labels('{job="exporter"}', began) <= others


def replace(stack, watch, before):
    """Put a new worker in the place of that of `email`, and let it run a task; returns its start in Unix seconds."""
    options = ("--detach", "--no-deps", "--force-recreate", "--no-build")
    files = [option for name in COMPOSED for option in ("--file", str(stack.scripts / f"{name}.yaml"))]
    result = stack.compose(*files, "up", *options, "worker-email")
    assert result.returncode == 0, result.stderr
    answer = stack.api.post("/faults/count", json={"count": 1, "queue": "email"})
    assert answer.status_code == 202, answer.text
    ran = " and on (instance) celery_tasks_started_total > 0"
    return wait_for("a new worker that ran a task", lambda: newest(watch, before, ran), 180)


def newest(watch, after, condition=""):
    """When the worker of `email` started that Prometheus sees now, if that was later than `after`; Unix seconds."""
    starts = watch.query(f'celery_start_timestamp_seconds{{worker="email"}}{condition}')
    return max([float(each["value"][1]) for each in starts if float(each["value"][1]) > after], default=0.0)


def shown(watch, match):
    """How many series there are now."""
    return sum(int(each["value"][1]) for each in watch.query(f"count({match})"))
