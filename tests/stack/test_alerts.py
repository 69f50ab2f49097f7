"""What goes wrong for real is told to the webhook and by mail, and told again when it is over."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager

import httpx
import pytest
import yaml

from tests.stack.on_call import OnCall, beside
from tests.stack.stack import ROOT, run, wait_for

RULES = sorted((ROOT / "deploy/prometheus/rules").glob("*.yaml"))
NOT_HERE = {"redis": {"rabbitmq"}, "rabbitmq": set()}  # what the stack of a broker does not run
UNKNOWN = "from app.celery import app; app.send_task('app.tasks.gone', queue='default')"


@pytest.fixture
def on_call(stack):
    return OnCall(stack)


@pytest.fixture
def impatient(stack, tmp_path):
    """Hears in seconds what the stack's own tells in minutes."""
    with beside(stack, tmp_path) as on_call:
        yield on_call


@contextmanager
def stopped(stack, *services):
    assert stack.compose("stop", *services).returncode == 0
    try:
        yield
    finally:
        assert stack.compose("start", *services).returncode == 0


@contextmanager
def paused(stack, service):
    identity = stack.containers()[service]["Id"]
    assert run(["docker", "pause", identity]).returncode == 0
    try:
        yield
    finally:
        run(["docker", "unpause", identity])


def in_api(stack, *command):
    result = stack.compose("exec", "-T", "api", *command)
    assert result.returncode == 0, result.stderr
    return result.stdout


def publish(stack, queue):
    answer = stack.api.post("/faults/count", json={"count": 3, "queue": queue})
    assert answer.status_code == 202, answer.text


def test_every_name_of_the_rules_is_shown_by_a_process_of_the_stack(stack):
    url = stack.url("PROMETHEUS_PORT")
    expressions = [
        rule["expr"]
        for path in RULES
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    ]
    wanted = {
        name
        for expression in expressions
        for name in re.findall(r"(?<![:\w])(?:celery_|rabbitmq_)\w+|\bup\b", expression)
    }
    wanted = {name for name in wanted if name.partition("_")[0] not in NOT_HERE[stack.broker]}

    def missing():
        return wanted - set(httpx.get(f"{url}/api/v1/label/__name__/values", trust_env=False).json()["data"])

    deadline = time.monotonic() + 60
    while (left := missing()) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert not left


def test_a_scrape_of_each_target_is_small_and_quick_and_names_no_process(stack):
    for port, services in ((9808, ["worker-default", "worker-media", "beat", "collector"]),):
        for service in services:
            script = f"import urllib.request as u; print(u.urlopen('http://{service}:{port}/metrics').read().decode())"
            text = in_api(stack, "python", "-c", script)
            assert 1000 < len(text) < 60_000, service
            identity = stack.containers()[service]["Id"]
            assert identity[:12] not in text, service


def test_what_goes_wrong_is_told_and_that_it_is_over(stack, impatient):
    if stack.broker == "rabbitmq":
        pytest.skip("the same alerts; make test-all brings about others there")
    in_api(stack, "python", "-c", UNKNOWN)
    with stopped(stack, "beat", "worker-ai"):
        publish(stack, "ai")
        impatient.fires("DeadLetters", "QueueWithoutConsumer", "BeatAbsent")
    in_api(stack, "celery-runtime", "dead-letters", "purge", "--queue", "default", "--yes")
    impatient.resolves("DeadLetters", "QueueWithoutConsumer", "BeatAbsent")


@pytest.mark.slow
@pytest.mark.timeout(1200)  # seconds; at the stack's own patience each alert takes minutes to be told, and to be over
def test_a_dead_letter_and_a_missing_beat_are_told_by_the_stack_itself(stack, on_call):
    with stopped(stack, "beat"):
        in_api(stack, "python", "-c", UNKNOWN)
        on_call.fires("DeadLetters")
        in_api(stack, "celery-runtime", "dead-letters", "purge", "--queue", "default", "--yes")
        on_call.fires("BeatAbsent")
    on_call.resolves("DeadLetters", "BeatAbsent")


@pytest.mark.slow
def test_a_broker_that_stands_still_is_one_alert_and_silences_what_follows(stack, impatient):
    in_api(stack, "python", "-c", UNKNOWN)
    impatient.fires("DeadLetters")
    with paused(stack, stack.broker):
        impatient.fires("BrokerDown")
        wait_for("silence about the rest", lambda: impatient.states().get("DeadLetters") != "active", 60)
    impatient.resolves("BrokerDown")
    in_api(stack, "celery-runtime", "dead-letters", "purge", "--queue", "default", "--yes")
    impatient.resolves("DeadLetters")


@pytest.mark.slow
def test_a_redis_that_stands_still_is_told_with_rabbitmq_too(stack, impatient):
    if stack.broker == "redis":
        pytest.skip("there it is the broker")
    with paused(stack, "redis"):
        impatient.fires("RedisDown")
        assert "BrokerDown" not in impatient.states()
    impatient.resolves("RedisDown")


@pytest.mark.slow
def test_tasks_that_nobody_works_on_and_a_collector_that_is_gone_are_told(stack, impatient):
    with stopped(stack, "worker-ai"):
        publish(stack, "ai")
        impatient.fires("QueueWithoutConsumer")
    impatient.resolves("QueueWithoutConsumer")
    with stopped(stack, "collector"):
        impatient.fires("CollectorBlind")
    impatient.resolves("CollectorBlind")


@pytest.mark.slow
def test_tasks_that_fail_and_tasks_that_kill_their_process_are_told(stack, impatient):
    def press():
        stack.api.post("/faults/fail", json={"count": 5})
        stack.api.post("/faults/crash", json={"count": 2})
        time.sleep(5)
        return impatient.told("TaskFailures", "firing") and impatient.told("PoolChildrenLost", "firing")

    wait_for("both alerts", press, impatient.patience["firing"])
    left = 'celery_queue_ready{queue="default"} + celery_queue_in_flight{queue="default"} == 0'
    left += " and on () max(celery_delayed) == 0"  # on RabbitMQ, what waits for its next try
    wait_for("the last of them to be parked", lambda: impatient.query(left), 240)
    stack.compose("exec", "-T", "api", "celery-runtime", "dead-letters", "purge", "--yes")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_scaling_down_and_a_deploy_wake_nobody(stack, on_call):
    on_call.catches_up()
    before = {series["metric"]["alertname"] for series in on_call.query("ALERTS")}  # of earlier tests, pending ones too
    for service in ("worker-email", "worker-media", "beat", "collector"):
        assert stack.compose("restart", service).returncode == 0
    with stopped(stack, "worker-email"):
        time.sleep(240)  # longer than any of the alerts that it might be
        assert on_call.active() <= before
