"""docs/systemd.md on a Debian that has nothing yet, and then five minutes without the broker."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.chaos.lab import until
from tests.systemd.host import Host

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
