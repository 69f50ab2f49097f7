"""Each panel asks the Prometheus that scraped the stack, after a mixed load with failures, and gets an answer.

The load is `make load`'s; a worker that is restarted while it holds tasks adds deliveries that are not the first.
"""

from __future__ import annotations

import math
import re
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from grafana.preview.__main__ import LABEL
from grafana.queries import ask, dashboards, filled, panels
from tests.promql import labels, metrics
from tests.stack.stack import ROOT, run, wait_for

PANELS = [panel for name, dashboard in dashboards().items() for panel in panels(name, dashboard)]
# What has no data here, and why; by broker, where it is one's.
RIGHTLY_EMPTY = {
    "autoscaling / Decisions, on Kubernetes / Replicas asked for": "Kubernetes only: kube-state-metrics",
    "autoscaling / Decisions, on Kubernetes / Replicas allowed": "Kubernetes only: kube-state-metrics",
    "autoscaling / Decisions, on Kubernetes / What KEDA read, and its errors": "Kubernetes only: KEDA",
}
PAST = {"a day"}  # a query of the panel "Failing, and a day before": half an hour ago there was no stack
RIGHTLY_EMPTY_ON = {
    "redis": {
        "broker / Now / RabbitMQ's alarms": "RabbitMQ only",
        **{
            str(panel): "RabbitMQ only"
            for panel in PANELS
            if panel.dashboard == "broker" and panel.row.startswith("RabbitMQ")
        },
    },
    "rabbitmq": {"queue / Trouble / Waiting by priority": "Redis only: RabbitMQ does not tell"},
}
ONE = (
    {"queue": "default", "worker": "default", "task": "app.tasks.faults.fail"},
    {"queue": "ai", "worker": "ai", "task": "app.tasks.ai.check_facts"},
    {"queue": "email", "worker": "email", "task": "app.tasks.faults.*"},  # what was delivered again
)
RISING = (
    'increase(celery_tasks_ended_total{{task="app.tasks.ai.check_facts", outcome="retried"}}[{seconds}s]) > 0',
    'increase(celery_tasks_ended_total{{task="app.tasks.faults.fail", outcome="failed"}}[{seconds}s]) > 0',
)
SECONDS = 120  # two scrapes and an evaluation of the rules take 45 at most, and more on a busy machine

LOOKBACK = 330  # seconds, over Prometheus' five minutes: the other broker's last scrape has no staleness marker


@pytest.fixture(scope="module")
def loaded(stack):
    """Prometheus' address, after a mixed load on its stack."""
    hand_back(stack)
    prometheus = stack.url("PROMETHEUS_PORT")
    command = [sys.executable, "-m", "app.load", "--minutes", "3", "--api", stack.url("API_PORT")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as load:
        try:
            # A counter that first appears with all that it ever counts has no rate: the load goes on over a scrape.
            wait_for("a rise of what the load makes", partial(all_rise, prometheus, time.monotonic()), SECONDS)
        finally:
            load.send_signal(signal.SIGINT)
    assert load.returncode == 0
    yield prometheus
    stack.compose("exec", "-T", "api", "celery-runtime", "dead-letters", "purge", "--yes")


def all_rise(prometheus, began):
    """Since then: the first broker's Prometheus is the second's too."""
    seconds = math.ceil(time.monotonic() - began)
    return all(ask(prometheus, "query", query=expr.format(seconds=seconds))["result"] for expr in RISING)


def hand_back(stack):
    """End a worker while it holds messages: on Redis those of a later time, on RabbitMQ those that run."""
    assert stack.api.post("/faults/count", json={"count": 5, "countdown": 60, "queue": "email"}).status_code == 202
    sent = stack.api.post("/faults/sleep", json={"count": 12, "seconds": 1, "queue": "email"})
    ledger = f"/faults/ledger/{sent.json()['batch']}"
    wait_for("the first that runs", lambda: stack.api.get(ledger).json()["started"])
    for command in ("restart",) if stack.broker == "redis" else ("kill", "start"):
        assert stack.compose(command, "worker-email").returncode == 0


@pytest.fixture
def prometheus(stack, request):
    """Of a stack on RabbitMQ in the slow tests alone: nobody waits for a load that nobody looks at."""
    if (stack.broker == "rabbitmq") != ("slow" in request.keywords):
        pytest.skip("make test asks on Redis, make test-all on RabbitMQ too")
    return request.getfixturevalue("loaded")


def test_every_panel_has_data(prometheus, stack):
    check_panels(prometheus, stack.broker)


def test_pictures_are_drawn_of_it(prometheus, tmp_path):
    command = [sys.executable, "-m", "grafana.preview", "--prometheus", prometheus, "--folder", str(tmp_path)]
    drawn = run(command, cwd=ROOT)
    assert drawn.returncode == 0, drawn.stderr
    for name in dashboards():
        picture = (tmp_path / f"{name}.svg").read_text()
        assert LABEL in picture and len(picture) < 100_000
    nobody = run([*command[:-4], "--prometheus", "http://127.0.0.1:1"], cwd=ROOT)
    assert nobody.returncode == 2 and "make up" in nobody.stderr and "Traceback" not in nobody.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_panel_has_data_on_rabbitmq(prometheus, stack):
    check_panels(prometheus, stack.broker)


def check_panels(prometheus, broker):
    """Every query of every panel, with All and with one value for each variable, until all have answered."""
    excused = RIGHTLY_EMPTY | RIGHTLY_EMPTY_ON[broker]
    queries = [
        (panel, expr)
        for panel in PANELS
        if str(panel) not in excused
        for expr, legend in panel.queries
        if legend not in PAST
    ]
    assert len(queries) > 100
    deadline = time.monotonic() + SECONDS
    left = queries
    while left := [(panel, expr) for panel, expr in left if not answers(prometheus, expr)]:
        assert time.monotonic() < deadline, "no data in:\n" + "\n".join(f"{panel}: {expr}" for panel, expr in left)
        time.sleep(1)
    for panel in PANELS:
        if panel.kind == "table" and str(panel) not in excused:
            rows = {frozenset(row["metric"]) for expr, _ in panel.queries for row in query(prometheus, expr, {})}
            assert len(rows) == 1 or panel.title in {"Alerts", "Versions"}, f"{panel}: columns do not meet: {rows}"
    check_names(prometheus, queries)
    check_variables(prometheus)
    for name in excused:  # what is on the list is really empty: it leaves the list when that changes
        (panel,) = [panel for panel in PANELS if str(panel) == name]
        wait_for(f"no data in {name}", lambda panel=panel: not has_rows(prometheus, panel), LOOKBACK)


def has_rows(prometheus, panel):
    return any(query(prometheus, expr, {}) for expr, _ in panel.queries)


def check_variables(prometheus):
    offered = [each for dashboard in dashboards().values() for each in dashboard["templating"]["list"]]
    for source in {variable["query"] for variable in offered if variable["type"] == "query"}:
        selector, label = re.fullmatch(r"label_values\((.+), (\w+)\)", source).groups()
        values = ask(prometheus, f"label/{label}/values", **{"match[]": filled(selector, {})})
        assert {one[label] for one in ONE if "*" not in one[label]} <= set(values), source


def check_names(prometheus, queries):
    """`or vector(0)` answers for a name that nobody has: so each name is looked for by itself."""
    shown = set(ask(prometheus, "label/__name__/values"))
    known = set(ask(prometheus, "labels"))
    for panel, expr in queries:
        assert metrics(filled(expr, {})) <= shown, panel
        assert labels(filled(expr, {})) <= known, panel


def answers(prometheus, expr):
    return has_data(query(prometheus, expr, {})) and any(has_data(query(prometheus, expr, one)) for one in ONE)


def query(prometheus, expr, values):
    return ask(prometheus, "query", query=filled(expr, values))["result"]


def has_data(result):
    return any(not math.isnan(float(row["value"][1])) for row in result)
