"""The alerts: promtool plays series against them, and each has what a person needs who is woken by it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from celery_runtime.metrics.names import COUNTERS, GAUGES

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "deploy/prometheus/rules").glob("*.yaml"))
CASES = sorted((ROOT / "tests/manifests/alerts").glob("*.yaml"))
# Of the tasks and of Prometheus itself; RabbitMQ's names are looked for on the real one, in tests/stack.
TASKS = {f"celery_tasks_{name}_total" for name in ("received", "redelivered", "started", "ended")} | {"up"}
IMAGES = ("celery-blueprint/prometheus:trixie", "prom/prometheus:v3.5.0")
ALERTMANAGERS = ("celery-blueprint/alertmanager:trixie", "prom/alertmanager:v0.28.1")


def read(path):
    return yaml.safe_load(path.read_text())


def rules(key):
    groups = [group for path in RULES for group in read(path)["groups"]]
    return {rule[key]: rule for group in groups for rule in group["rules"] if key in rule}


ALERTS, RECORDS = rules("alert"), rules("record")


def run(tool, images, *arguments):
    """Run promtool or amtool: this machine's, or that of an image that is here."""
    command = [tool, *arguments]
    if not shutil.which(tool):
        here = [image for image in images if is_here(image)]
        if not here:
            pytest.skip(f"{tool} is not installed, and no image has it: make up builds one")
        command = ["docker", "run", "--rm", "--network=none", "--volume", f"{ROOT}:{ROOT}:ro", "--workdir", str(ROOT),
                   "--entrypoint", tool, here[0], *arguments]  # fmt: skip
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def is_here(image):
    command = ["docker", "image", "inspect", image]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should_and_are_silent_when_not(path):
    result = run("promtool", IMAGES, "test", "rules", str(path.relative_to(ROOT)))
    assert result.returncode == 0, result.stdout + result.stderr


def test_prometheus_and_alertmanager_can_read_their_files():
    names = [str(path.relative_to(ROOT)) for path in RULES]
    checked = run("promtool", IMAGES, "check", "rules", *names)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    for name in ("prometheus.yaml", "hosts.yaml"):
        checked = run("promtool", IMAGES, "check", "config", "--syntax-only", f"deploy/prometheus/{name}")
        assert checked.returncode == 0, checked.stderr
    checked = run("amtool", ALERTMANAGERS, "check-config", "deploy/prometheus/alertmanager.yaml")
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("alert", ALERTS.values(), ids=ALERTS)
def test_every_alert_says_how_bad_it_is_what_it_is_and_what_to_do(alert):
    notes = alert["annotations"]
    assert set(alert["labels"]) == {"severity"} and alert["labels"]["severity"] in {"critical", "warning"}
    assert set(notes) == {"summary", "runbook"} and 30 < len(notes["summary"]) < 160 and notes["summary"][-1] == "."
    runbook = (ROOT / notes["runbook"]).read_text()
    assert alert["alert"] in runbook and "\n## Look\n" in runbook and "\n## Do\n" in runbook


def alerts_about(case):
    """The alerts whose metrics a case plays, in which they stay silent at first."""
    played = {re.match(r"\w+", series["series"])[0] for series in case["input_series"]}
    recorded = {name for name, rule in RECORDS.items() if any(metric in rule["expr"] for metric in played)}
    return {name for name, rule in ALERTS.items() if any(metric in rule["expr"] for metric in played | recorded)}


def test_every_alert_is_seen_firing_and_silent_and_every_runbook_belongs_to_one():
    fired, silent = set(), set()
    for path in CASES:
        for case in read(path)["tests"]:
            samples = [sample["labels"] for test in case["promql_expr_test"] for sample in test["exp_samples"]]
            fired |= {re.search(r'alertname="(\w+)"', labels)[1] for labels in samples}
            if not case["promql_expr_test"][0]["exp_samples"]:
                silent |= alerts_about(case)
    assert fired == silent == set(ALERTS)
    runbooks = {str(path.relative_to(ROOT)) for path in (ROOT / "docs/runbooks").glob("*.md")}
    assert runbooks == {alert["annotations"]["runbook"] for alert in ALERTS.values()}


def test_every_name_in_a_rule_is_one_that_a_process_shows():
    known = TASKS | set(RECORDS) | {f"celery_{name}" for name in GAUGES} | {f"celery_{name}_total" for name in COUNTERS}
    for name, rule in (ALERTS | RECORDS).items():
        used = set(re.findall(r"\b(?:\w+:celery_\w+:\w+|celery_\w+|up)\b", rule["expr"]))
        assert used <= known, name
        assert used or "rabbitmq_" in rule["expr"], name


def test_no_recorded_series_belongs_to_one_process():
    for name, rule in RECORDS.items():
        if "celery_" in re.sub(r"\w+:celery_\w+:\w+", "", rule["expr"]):
            assert re.match(r"(max|sum) by \((queue|worker|task, queue)\)", rule["expr"]), name


def test_an_alert_that_silences_others_and_is_silenced_exists():
    config = read(ROOT / "deploy/prometheus/alertmanager.yaml")
    for rule in config["inhibit_rules"]:
        for matcher in rule["source_matchers"] + rule["target_matchers"]:
            pattern = re.search(r'"(.+)"', matcher)[1]
            for name in pattern.split("|"):
                assert any(re.fullmatch(name, alert) for alert in ALERTS), matcher


def test_the_table_of_the_document_has_every_alert():
    text = (ROOT / "docs/monitoring.md").read_text()
    assert re.findall(r"^\| \[(\w+)\]", text, re.MULTILINE) == list(ALERTS)


def test_the_table_of_the_document_says_which_alerts_a_test_brings_about():
    tests = "".join(path.read_text() for path in (ROOT / "tests/stack").glob("test_*.py"))
    brought = {name for name in ALERTS if re.search(rf'(?:fires|told)\([^)]*"{name}"', tests)}
    ended = {name for name in ALERTS if re.search(rf'resolves\([^)]*"{name}"', tests)}
    seen = dict(
        re.findall(
            r"^\| \[(\w+)\].*\| promtool(?:, (.+))? \|$", (ROOT / "docs/monitoring.md").read_text(), re.MULTILINE
        )
    )
    assert {name for name, how in seen.items() if how} == brought
    assert {name for name, how in seen.items() if "real" in how} == ended
