"""docs/systemd.md on a Debian that has nothing yet, and then five minutes without the broker."""

from __future__ import annotations

import json
import shlex
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.chaos.lab import until
from tests.otlp import Span
from tests.systemd.host import PREFIX, Host

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
HOSTS = {"redis": "trixie", "rabbitmq": "bookworm"}  # Debian 13 and 12
AWAY = 300  # seconds
MEDIA = "celery-worker@media.service"
# What another one needs to reach the package registries as this machine does (deploy/images/settings.sh).
REGISTRIES = {
    "ca": "/run/secrets/ca",
    "apt_sources": "/etc/apt/sources.list",
    "apt_conf": "/etc/apt/apt.conf.d/90-host",
    "pip": "/etc/pip.conf",
}
# Where celery.env.example has it; its packages are those of the release.
COLLECT = """
import json, time
from tests.otlp import Collector
with Collector(4318) as collector:
    while True:
        time.sleep(0.1)
        while collector.spans:
            print(json.dumps(collector.spans.pop(0)), flush=True)
"""
SPANS = "/run/spans"


@pytest.fixture(scope="module")
def bare_hosts(lab, checkout, image):
    """One for each Debian and broker, made at the same time."""
    images = {broker: image("bare", suite) for broker, suite in HOSTS.items()}
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda broker: install(lab, checkout, broker, images[broker]), HOSTS))


def install(lab, checkout, broker, image):
    """Returns a host on which the two lines of docs/systemd.md were typed."""
    files = [(lab.folder / image / name, path) for name, path in REGISTRIES.items()]
    host = Host(lab, broker, image, [(checkout, "/checkout"), *files])
    if broker == "rabbitmq":
        host.write("/etc/celery-blueprint/celery.env", (checkout / "deploy/systemd/celery.env.example").read_text())
        host.set(BROKER="rabbitmq")
    host.run("make -C /checkout systemd-install TRIAL=1 && systemctl start celery.target")
    host.until_active()
    return host


def test_a_picture_goes_through(bare_hosts):
    for host in bare_hosts:
        assert "passed" in host.smoke()


def test_nobody_is_restarted_while_the_broker_is_away(bare_hosts):
    before = [own(host) for host in bare_hosts]
    for host in bare_hosts:
        host.run(f"systemctl stop {host.broker_service()}")
    time.sleep(AWAY)
    assert [own(host) for host in bare_hosts] == before
    for host in bare_hosts:
        host.run(f"systemctl start {host.broker_service()}")
    for host in bare_hosts:
        until(lambda host=host: host.show(MEDIA, "StatusText") == "consumes", f"{host.name} to consume", 120)
        host.until_active()
        assert "passed" in host.smoke()
    assert [own(host) for host in bare_hosts] == before


def own(host):
    """Restarts of what is ours: Flower and the exporter, of others, may end without their broker."""
    foreign = {"celery-exporter.service", "celery-flower.service"}
    return {unit: count for unit, count in host.restarts().items() if unit not in foreign}


def test_debian_12_has_its_own_redis_too(bare_hosts):
    (host,) = (host for host in bare_hosts if "bookworm" in host.name)
    host.set(BROKER="redis")
    host.run("systemctl restart celery.target")
    host.until_active()
    assert "passed" in host.smoke()


def test_a_host_whose_settings_name_a_collector_sends_it_its_spans(bare_hosts):
    (host,) = (host for host in bare_hosts if "trixie" in host.name)
    host.set(TRACING_URL="http://127.0.0.1:4318")
    host.run("make -C /checkout systemd-install")
    host.until_active()
    options = f"--unit=collector --working-directory=/checkout --property=StandardOutput=truncate:{SPANS}"
    host.run(f"systemd-run --quiet {options} {PREFIX}/venvs/tracing-*/bin/python -c {shlex.quote(COLLECT)}")
    assert "passed" in host.smoke()

    trace = until(lambda: from_request_to_task(host), "a request, what it published, and the run of that")
    lines = host.run(f"journalctl --no-pager --unit={MEDIA} --grep=trace_id={trace}")
    assert "Task app.tasks.media." in lines


def from_request_to_task(host):
    """The trace of a picture in which a unit of the API and one of a worker have a part; None if none came yet."""
    spans = [Span(*json.loads(line)) for line in host.ask(f"cat {SPANS}").splitlines()]
    uploads = {span.trace for span in spans if span.name == "POST /images"}
    published = {span.id for span in spans if span.name.startswith("publish ")}
    ran = (span for span in spans if span.name.startswith("run app.tasks.media.") and span.parent in published)
    return next((span.trace for span in ran if span.trace in uploads), None)
