from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from celery_runtime import cli
from celery_runtime.cli import main, worker_options
from celery_runtime.queues import load_queues
from celery_runtime.settings import RuntimeSettings, load

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def two_queues(monkeypatch, tmp_path):
    path = tmp_path / "queues.toml"
    path.write_text("[queues.media]\ntime_limit = 300\n[queues.ai]\npool = 'threads'\nconcurrency = 16\n")
    monkeypatch.setenv("QUEUES_FILE", str(path))
    return load_queues(path)


def test_a_worker_gets_its_limits_from_the_file(two_queues):
    options = worker_options(two_queues["media"], load(RuntimeSettings))

    assert {"--queues=media", "--concurrency=2", "--soft-time-limit=290", "--time-limit=300"} < set(options)


def test_a_queue_that_scales_within_its_worker_and_bounds_the_memory_of_a_process(tmp_path):
    path = tmp_path / "scaling.toml"
    path.write_text("[queues.media]\nautoscale = { min = 1, max = 4 }\nmax_memory_per_child = '320Mi'\n")
    options = worker_options(load_queues(path)["media"], load(RuntimeSettings))

    assert {"--autoscale=4,1", "--max-memory-per-child=327680"} < set(options)
    assert not any("--concurrency" in option for option in options)


def test_two_workers_of_one_queue_on_one_host_have_names_of_their_own(two_queues, monkeypatch):
    assert "--hostname=media@%h" in worker_options(two_queues["media"], load(RuntimeSettings))
    monkeypatch.setenv("NODE_NAME", "media-2")
    assert "--hostname=media-2@%h" in worker_options(two_queues["media"], load(RuntimeSettings))


def test_a_pool_that_knows_no_limits_is_given_none(two_queues):
    options = worker_options(two_queues["ai"], load(RuntimeSettings))

    assert "--pool=threads" in options and not any("time-limit" in option for option in options)


@pytest.mark.parametrize(
    ("variables", "command", "names"),
    [
        ({}, ["worker", "reports"], ["no queue 'reports'", "media, ai", "make queue NAME=reports"]),
        ({"BROKER": "kafka"}, ["worker", "media"], ["BROKER = 'kafka'"]),
        ({"BROKER": "kafka"}, ["beat"], ["BROKER = 'kafka'"]),
        ({}, ["flower"], ["FLOWER_PASSWORD_FILE is not set"]),
        ({"CELERY_APP": "absent.module"}, ["check-config"], ["CELERY_APP = 'absent.module'", "app.celery:app"]),
        ({"QUEUES_FILE": "absent.toml"}, ["check-config"], ["absent.toml"]),
        ({"REDIS_PASSWORD_FILE": "/absent"}, ["worker", "media"], ["REDIS_PASSWORD_FILE = '/absent'"]),
    ],
)
def test_a_wrong_setting_ends_with_code_2_and_a_message(monkeypatch, capsys, variables, command, names):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert main(command) == 2
    message = capsys.readouterr().err
    assert "Traceback" not in message
    for name in names:
        assert name in message


def test_a_queue_whose_tasks_are_to_be_watched_sends_events_and_no_other(tmp_path):
    path = tmp_path / "queues.toml"
    path.write_text("[queues.media]\nevents = true\n[queues.ai]\n")
    queues, settings = load_queues(path), load(RuntimeSettings)

    assert "--task-events" in worker_options(queues["media"], settings)
    assert "--task-events" not in worker_options(queues["ai"], settings)


def test_flower_lets_no_worker_send_events(monkeypatch, tmp_path):
    (tmp_path / "password").write_text("secret")
    monkeypatch.setenv("FLOWER_PASSWORD_FILE", str(tmp_path / "password"))
    monkeypatch.delenv("FLOWER_BASIC_AUTH", raising=False)
    monkeypatch.setattr(cli, "load_app", lambda name: None)
    monkeypatch.setattr(cli, "_run", lambda app, options: called.extend(options) or 0)
    called = []

    assert main(["flower"]) == 0
    monkeypatch.delenv("FLOWER_BASIC_AUTH")
    assert called[0] == "flower" and "--enable-events=false" in called


def test_the_health_command_costs_less_than_a_tenth_of_a_second_of_cpu():
    before = os.times()
    subprocess.run([sys.executable, "-m", "celery_runtime", "health", "live"], check=False, capture_output=True)
    after = os.times()

    spent = (after.children_user - before.children_user) + (after.children_system - before.children_system)
    assert spent < 0.1


def test_the_health_command_answers_at_once_when_nothing_listens(monkeypatch, capsys):
    monkeypatch.setenv("HEALTH_PORT", "1")
    began = time.monotonic()

    assert main(["health", "ready"]) == 1
    assert time.monotonic() - began < 1
    assert "no answer from http://127.0.0.1:1/readyz" in capsys.readouterr().out


RUN_A_WORKER = """
import sys
from celery import Celery
from click import Option
from celery_runtime import cli

class Worker:
    exitcode = 7
    def __init__(self, **options):
        print(options["hello"], options["concurrency"], options["no_color"])
    def start(self):
        pass

app = Celery()
app.Worker = Worker
app.user_options["worker"].add(Option(["--hello"]))
app.user_options["preload"].add(Option(["--early"]))
print(cli._run(app, ["worker", "--hello=there", "--early=bird", "--concurrency=3"]))
print(*{"celery.bin.celery", "flower", "prompt_toolkit", "tornado"} & set(sys.modules))
"""


def test_a_worker_has_its_apps_options_and_no_other_command_in_its_memory():
    command, environment = [sys.executable, "-c", RUN_A_WORKER], os.environ | {"NO_COLOR": "1"}
    result = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60)

    assert result.stdout.splitlines() == ["there 3 True", "7", ""]


def test_a_worker_that_cannot_run_ends_with_a_code_that_says_so(monkeypatch, tmp_path):
    (tmp_path / "broken.py").write_text(
        "from celery import Celery\napp = Celery('broken', broker='memory://')\napp.conf.worker_pool = 'absent'\n"
        "app.conf.include = ['no_such_module']\n"
    )
    environment = os.environ | {"CELERY_APP": "broken:app", "HEALTH_PORT": "0"}
    command = [sys.executable, "-m", "celery_runtime", "worker", "media"]
    result = subprocess.run(command, cwd=tmp_path, env=environment, check=False, capture_output=True, timeout=60)

    assert result.returncode != 0


def test_a_taken_health_port_is_told_without_a_traceback():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        environment = os.environ | {"HEALTH_PORT": port, "PYTHONPATH": str(ROOT), "CELERY_APP": "app.celery:app"}
        command = [sys.executable, "-m", "celery_runtime", "worker", "media"]
        result = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, timeout=60)

    assert result.returncode == 2
    assert f"HEALTH_PORT = {port}".encode() in result.stderr and b"Traceback" not in result.stderr


@pytest.mark.parametrize("command", [["worker", "media"], ["beat"], ["collector"]])
def test_a_stop_while_it_starts_is_heard(tmp_path, command):
    (tmp_path / "slow.py").write_text("import os, signal, time\nos.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(20)\n")
    environment = os.environ | {"CELERY_APP": "slow:app", "PYTHONPATH": f"{tmp_path}:{ROOT}", "HEALTH_PORT": "0"}
    result = subprocess.run(
        [sys.executable, "-m", "celery_runtime", *command], env=environment, cwd=tmp_path, timeout=60, check=False
    )

    assert result.returncode == 0
