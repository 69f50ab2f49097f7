from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from tests.ports import free_port


@pytest.fixture
def port():
    return free_port()


def serve(**variables):
    environment = {**os.environ, "HEALTH_PORT": "0", **{name: str(value) for name, value in variables.items()}}
    command = [sys.executable, "-m", "app.api"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def answer(url):
    for _ in range(1000):  # a minute, on a busy machine
        try:
            with urllib.request.urlopen(url, timeout=1) as reply:  # noqa: S310 -- http, on loopback
                return reply.read().decode()
        except OSError:
            time.sleep(0.05)
    raise AssertionError(url)


def test_it_serves_while_broker_and_database_are_away_and_ends_on_sigterm(port):
    away = {"REDIS_URL": "redis://127.0.0.1:1/0", "DATABASE_URL": "postgresql+psycopg://app@127.0.0.1:1/app"}
    process = serve(API_PORT=port, **away)
    assert answer(f"http://127.0.0.1:{port}/healthz") == '{"status":"ok"}'
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert "Traceback" not in output and "GET /healthz" not in output


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"API_PORT": "nine"}, "API_PORT = 'nine' is not valid"),
        ({"BROKER": "kafka"}, "BROKER = 'kafka' is not valid"),
        ({"FAULTS": "true"}, "FAULTS = 'true' is not valid"),
        ({"QUEUES_FILE": "/nowhere.toml"}, "/nowhere.toml: cannot be read"),
        ({"REDIS_PASSWORD_FILE": "/nowhere"}, "REDIS_PASSWORD_FILE = '/nowhere' cannot be read"),
    ],
)
def test_a_wrong_setting_is_a_message_and_exit_code_2(variables, message):
    process = serve(**variables)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert output.startswith(message) and "Traceback" not in output


def test_a_port_in_use_is_named(port):
    with socket.create_server(("127.0.0.1", port)):
        process = serve(API_PORT=port)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert output.startswith(f"API_HOST = '127.0.0.1', API_PORT = {port}: the API cannot listen there")
    assert f"API_PORT={port + 1}" in output


def test_starting_imports_nothing_that_only_workers_need():
    """Fifteen containers start at once on two cores."""
    code = "import sys, app.api.main; app.api.main.create(); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not re.search(r"\b(PIL|alembic|smtplib|app\.tasks\.\w+)\b", modules)


def test_health_asks_nobody(client, reconfigure):
    reconfigure(DATABASE_URL="postgresql+psycopg://app@127.0.0.1:1/app")
    assert client.get("/healthz").json() == {"status": "ok"}


def test_requests_are_counted_by_template(client):
    for n in range(3):
        client.get(f"/tasks/{n}")
    client.get("/no/such/thing")
    metrics = client.get("/metrics").text
    several = r"([3-9]|[1-9]\d)"
    asked = r'http_request{}\{{method="GET",route="/tasks/\{{task_id\}}"{}\}} ' + several
    assert re.search(asked.format("s_total", ',status="422"'), metrics)
    assert re.search(r'http_requests_total\{method="GET",route="none",status="404"\} [1-9]', metrics)
    assert re.search(asked.format("_duration_seconds_count", ""), metrics)


def test_what_the_api_publishes_begins_at_zero_for_every_queue(client):
    metrics = client.get("/metrics").text
    for queue in ("default", "media", "ai", "email", "backup", "other"):
        for name in ("published", "publish_errors"):
            assert re.search(rf'celery_{name}_total\{{queue="{queue}"\}} \d', metrics), (name, queue)
    assert "celery_publish_seconds_count" in metrics and "celery_tasks" not in metrics


def test_a_fault_of_ours_is_counted(client, monkeypatch):
    monkeypatch.setattr("app.submit.look_up", lambda _: 1 / 0)
    assert client.get("/tasks/9b2f6a0e-6c0a-4c3e-9d64-2f3b6f0c1d11").status_code == 500
    assert re.search(r'route="/tasks/\{task_id\}",status="500"\} [1-9]', client.get("/metrics").text)


def test_the_schema_shows_examples(client):
    schema = client.get("/openapi.json").json()
    assert "ada@example.org" in str(schema["components"]["schemas"]["NewUser"])
    assert {"/users", "/posts", "/images", "/tasks/{task_id}", "/faults/{name}"} <= set(schema["paths"])
