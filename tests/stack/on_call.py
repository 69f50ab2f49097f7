"""Who is woken by the stack: what Alertmanager told the webhook and the mailbox since somebody began to listen.

`beside` runs a second Prometheus and Alertmanager next to the stack's. They have its rules, targets and routes; only
what they wait for is shorter: an alert's `for` is a twentieth, a scrape comes each second, and nothing is held back to
be grouped. So a test sees in seconds what takes minutes; the slow ones listen to the stack's own.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.ports import free_port
from tests.stack.stack import ROOT, Stack, run, wait_for

SOURCE = ROOT / "deploy/prometheus"
ADDRESS = "on-call@blueprint.example"
SERVERS = {"alertmanager": 9093, "prometheus": 9090}  # their ports
ARGUMENTS = {
    "alertmanager": ["--storage.path=/data", "--cluster.listen-address="],
    "prometheus": ["--storage.tsdb.path=/data"],
}
WATCHED = (
    "beat",
    "collector",
    "optional",
)  # and the workers; the exporter answers too slowly to be asked each second


class OnCall:
    """servers: URLs of Prometheus and Alertmanager, the stack's own if not told. hook: the name of the webhook."""

    def __init__(
        self, stack: Stack, servers: dict[str, str] | None = None, hook: str = "alerts", to: str = ADDRESS
    ) -> None:
        self.stack, self.hook, self.address = stack, hook, to
        self.servers = servers or {name: stack.url(f"{name.upper()}_PORT") for name in SERVERS}
        self.patience = {"firing": 120, "resolved": 120} if servers else {"firing": 300, "resolved": 200}  # seconds
        self.calls, self.mails = len(self._calls()), len(stack.mails(to))

    def fires(self, *names: str) -> None:
        self._are_told("firing", names)
        states = self.states()
        assert {states.get(name) for name in names} == {"active"}, states

    def resolves(self, *names: str) -> None:
        self._are_told("resolved", names)

    def told(self, name: str, status: str) -> bool:
        alerts = [alert for call in self._calls()[self.calls :] for alert in call["alerts"]]
        return any((alert["labels"]["alertname"], alert["status"]) == (name, status) for alert in alerts)

    def states(self) -> dict[str, str]:
        """What Alertmanager says of each alert: active, or suppressed."""
        alerts = httpx.get(f"{self.servers['alertmanager']}/api/v2/alerts", trust_env=False).json()
        return {alert["labels"]["alertname"]: alert["status"]["state"] for alert in alerts}

    def query(self, promql: str) -> list[dict[str, Any]]:
        """The series that Prometheus finds now."""
        return list(self._ask("query", query=promql)["result"])

    def labels(self, match: str, since: float) -> set[frozenset[tuple[str, str]]]:
        """The labels, but for the address, of each series that there was since a Unix time."""
        found = self._ask("series", **{"match[]": match, "start": str(since)})
        return {frozenset((name, value) for name, value in each.items() if name != "instance") for each in found}

    def catches_up(self) -> None:
        """Prometheus scrapes everything, and goes through its rules after that."""
        for seen in ("timestamp(up)", "prometheus_rule_group_last_evaluation_timestamp_seconds"):
            asked = f"min({seen}) > {time.time()}"
            wait_for(asked, lambda asked=asked: self.query(asked), 90)

    def active(self) -> set[str]:
        return {name for name, state in self.states().items() if state == "active"}

    def _are_told(self, status: str, names: tuple[str, ...]) -> None:
        for name in names:
            told = f"{name}, {status}, at the webhook"
            try:
                wait_for(told, lambda name=name: self.told(name, status), self.patience[status])
                wait_for(f"{name}, {status}, by mail", lambda name=name: self._mailed(name, status.upper()), 30)
            except AssertionError as error:
                error.add_note(f"Alertmanager has {self.states()}, Prometheus {self.query('ALERTS')}")
                raise

    def _ask(self, path: str, **parameters: str) -> Any:
        answer = httpx.get(f"{self.servers['prometheus']}/api/v1/{path}", params=parameters, trust_env=False)
        return answer.raise_for_status().json()["data"]

    def _calls(self) -> list[dict[str, Any]]:
        url = f"{self.stack.url('MAIL_PORT')}/api/hooks/{self.hook}"
        return list(httpx.get(url, trust_env=False).json())

    def _mailed(self, name: str, status: str) -> bool:
        mails = self.stack.mails(self.address)  # newest first
        subjects = [mail["subject"] for mail in mails[: len(mails) - self.mails]]
        return any(name in subject and f"[{status}" in subject for subject in subjects)


@contextmanager
def beside(stack: Stack, folder: Path) -> Iterator[OnCall]:
    """Let a Prometheus and an Alertmanager that wait for little watch the stack; ends them."""
    _write_impatient(folder, stack.broker)
    started, urls = [], {}
    try:
        for name, port in SERVERS.items():
            public = free_port()
            urls[name] = f"http://127.0.0.1:{public}"
            started.append(_start(stack, name, folder, f"127.0.0.1:{public}:{port}"))
        for url in urls.values():
            wait_for(f"{url}/-/ready", lambda url=url: _answers(f"{url}/-/ready"))
        on_call = OnCall(stack, urls, "impatient", f"impatient-{ADDRESS}")
        # A counter that rose before it was first seen has not risen.
        wait_for("a look at every worker", lambda: on_call.query('min(up{job="worker"}) == 1'))
        yield on_call
    finally:
        for container in started:
            run(["docker", "rm", "--force", "--volumes", container])


def _start(stack: Stack, name: str, folder: Path, port: str) -> str:
    model = stack.containers()[name]
    network = next(iter(model["NetworkSettings"]["Networks"]))
    options = ["--detach", f"--network={network}", f"--network-alias=impatient-{name}", "--publish", port]
    volumes = ["--volume", f"{folder}:/etc/{name}:ro", "--mount=type=tmpfs,target=/data,tmpfs-mode=0777"]
    command = [model["Config"]["Image"], f"--config.file=/etc/{name}/{name}.yaml", *ARGUMENTS[name]]
    started = run(["docker", "run", *options, *volumes, *command])
    assert started.returncode == 0, started.stderr
    return started.stdout.strip()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _write_impatient(folder: Path, broker: str) -> None:
    """Copy the stack's files, with shorter times."""
    for name in ("rules", "scrape"):
        shutil.copytree(SOURCE / name, folder / name)
    for path in (folder / "rules").glob("*.yaml"):
        rules = yaml.safe_load(path.read_text())
        for rule in (rule for group in rules["groups"] for rule in group["rules"] if "for" in rule):
            seconds = int(rule["for"].removesuffix("m")) * 60
            rule["for"] = f"{seconds // 20}s"
        path.write_text(yaml.safe_dump(rules))

    scrape = folder / "scrape/workers.yaml"
    jobs = yaml.safe_load(scrape.read_text())
    jobs["scrape_configs"][0]["dns_sd_configs"][0]["refresh_interval"] = "1s"
    scrape.write_text(yaml.safe_dump(jobs))

    (folder / "targets").mkdir()
    if broker == "rabbitmq":
        shutil.copy(ROOT / "deploy/compose/config/rabbitmq-target.yaml", folder / "targets")

    prometheus = yaml.safe_load((SOURCE / "prometheus.yaml").read_text())
    prometheus["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    prometheus["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": ["impatient-alertmanager:9093"]}]}]
    prometheus["scrape_configs"] = [job for job in prometheus["scrape_configs"] if job["job_name"] in WATCHED]
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(prometheus))

    alertmanager = yaml.safe_load((SOURCE / "alertmanager.yaml").read_text())
    for route in (alertmanager["route"], *alertmanager["route"]["routes"]):
        route |= {"group_wait": "1s", "group_interval": "1s"}
    receiver = alertmanager["receivers"][0]
    receiver["webhook_configs"][0]["url"] = "http://mail:8025/hooks/impatient"
    receiver["email_configs"][0]["to"] = f"impatient-{ADDRESS}"
    (folder / "alertmanager.yaml").write_text(yaml.safe_dump(alertmanager))
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)  # read by the container's user
