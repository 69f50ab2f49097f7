from __future__ import annotations

import pytest

from celery_runtime.cli import main
from celery_runtime.control import orders, questions
from celery_runtime.control.questions import NobodyError
from celery_runtime.settings import ConfigError

NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture
def shop(monkeypatch, tmp_path):
    (tmp_path / "queues.toml").write_text("[queues.default]\n")
    monkeypatch.setenv("QUEUES_FILE", str(tmp_path / "queues.toml"))
    monkeypatch.setenv("CELERY_APP", "tests.integration.shop:app")
    monkeypatch.setenv("REDIS_URL", NOWHERE)
    monkeypatch.setenv("PUBLISH_TIMEOUT", "2")


@pytest.mark.parametrize(
    ("command", "names"),
    [
        (["revoke", ""], ["ID = ''", "make revoke ID="]),
        (["revoke", "a b"], ["ID = 'a b'"]),
        (["rate", "shop.add", "10/x"], ["RATE = '10/x'", "10/s"]),
        (["rate", "shop.add", ""], ["RATE = ''"]),
        (["rate", "shop.add", "-1"], ["RATE = '-1'"]),
        (["events", "maybe"], ["'maybe' is neither on nor off"]),
        (["consume", "nowhere", "default"], ["QUEUE = 'nowhere'", "default"]),
        (["workers", "--wait", "0"], ["--wait = 0"]),
        (["workers", "--wait", "nan"], ["--wait = nan"]),
    ],
)
def test_what_is_wrong_is_named_with_code_2_before_anybody_is_asked(shop, capsys, command, names):
    command = [command[0], "--", *command[1:]] if "-1" in command else command
    assert main(command) == 2
    shown = capsys.readouterr().err
    assert all(name in shown for name in names) and "Traceback" not in shown


@pytest.mark.parametrize("command", [["workers"], ["active"], ["revoke", "x"], ["rate", "shop.add", "1/s"]])
def test_a_broker_that_is_away_is_code_1_and_a_message(shop, capsys, command):
    assert main([*command, "--wait", "0.1"]) == 1
    shown = capsys.readouterr().err
    assert "does not answer as it should" in shown and "Traceback" not in shown


class App:
    """Workers with answers that were written down."""

    def __init__(self, **answers):
        self.answers, self.control, self.tasks = answers, self, {"shop.add": None}
        self.backend, self.loader = self, self

    def broadcast(self, command, arguments, **_):
        return [{worker: answer} for worker, answer in self.answers.get(command, {}).items()]

    def get_task_meta(self, task_id):
        return {"status": self.answers.get("status", "PENDING")}

    def import_default_modules(self):
        pass


def options(**given):
    return type("Options", (), {"wait": 0.1, "json": False, "terminate": False, **given})


def test_nobody_answering_is_told():
    with pytest.raises(NobodyError, match=r"No worker answered within 0.1 s"):
        questions.active(App(), options())


def test_a_task_that_no_worker_knows_gets_a_suggestion():
    unknown = {"error": "unknown task"}
    with pytest.raises(ConfigError, match=r"TASK = 'shop.ad' is no task of this app.*\n.*shop.add"):
        orders.rate(App(rate_limit={"a@h": unknown, "b@h": unknown}), options(task="shop.ad", rate="1/s"))


def test_a_task_that_some_workers_do_not_know_is_limited_where_it_is_known():
    app = App(rate_limit={"a@h": {"ok": "new rate limit set successfully"}, "b@h": {"error": "unknown task"}})
    shown = orders.rate(app, options(task="shop.new", rate="10/m"))
    assert "refused: unknown task" in shown and "at most 10/m" in shown


def test_a_task_that_has_ended_cannot_be_revoked():
    with pytest.raises(NobodyError, match="has ended already: SUCCESS"):
        orders.revoke(App(status="SUCCESS"), options(id="1"))


def test_revoking_a_running_task_says_that_it_goes_on():
    app = App(active={"a@h": [{"id": "1"}], "b@h": []}, revoke={"a@h": {"ok": ""}, "b@h": {"ok": ""}})
    assert "It runs on a@h, and goes on: --terminate" in orders.revoke(app, options(id="1"))
    assert "is ended on a@h, and revoked on 2 workers" in orders.revoke(app, options(id="1", terminate=True))


def test_tasks_of_workers_of_different_versions_are_told_apart():
    app = App(registered={"a@h": ["shop.add [rate_limit=10/m]", "shop.old"], "b@h": ["shop.add"]})
    shown = questions.registered(app, options()).splitlines()
    assert shown[1:] == [
        "shop.add  -           b@h",
        "shop.add  10/m        a@h",
        "shop.old  -           a@h",
    ]


@pytest.mark.parametrize(
    ("implementation", "name"),
    [
        ("celery_runtime.direct.pool:Pool", "direct"),
        ("celery.concurrency.prefork:TaskPool", "prefork"),
        ("celery.concurrency.thread:TaskPool", "threads"),
        ("", "-"),
    ],
)
def test_a_pool_has_the_name_that_queues_toml_gives_it(implementation, name):
    assert questions._pool(implementation) == name


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (59.9, "59s"), (3600, "1h"), (90_061, "1d 1h"), (-5, "0s")])
def test_durations(seconds, text):
    assert questions._duration(seconds) == text
