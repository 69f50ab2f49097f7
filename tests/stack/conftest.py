"""One Compose project of the tests' own, brought up by the scripts behind `make up`, first on Redis, then on RabbitMQ.

Both brokers share the project, so that the second finds the first one's data, as after `BROKER=rabbitmq make up`.
"""

from __future__ import annotations

import os
import secrets

import pytest

from tests import brokers
from tests.ports import free_ports
from tests.stack.stack import PORTS, Stack, run

KEPT_LINES = 60  # of each service's log, shown with a failure

rabbitmq_is_slow = brokers.rabbitmq_is_slow("stack")


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """Environment of the tests' own project; its volumes and its image are removed at the end."""
    name = f"stack-test-{secrets.token_hex(3)}"
    environ = {
        **os.environ,
        **free_ports(PORTS),
        "PROJECT": name,
        "APP_IMAGE": f"celery-blueprint/app:{name}",  # a `make up` beside the tests builds another
        "SECRETS_DIR": str(tmp_path_factory.mktemp("stack") / "secrets"),
        "FAULTS": "on",
        "MAIL_TO": "everybody@example.com",
    }
    yield environ
    Stack(environ).remove()
    run(["docker", "rmi", environ["APP_IMAGE"]])


@pytest.fixture(scope="session", params=["redis", "rabbitmq"])
def stack(project, request):
    """The running stack on one broker."""
    stack = Stack({**project, "BROKER": request.param})
    result = stack.up()
    if result.returncode:
        pytest.fail(f"up.sh ended with {result.returncode}:\n{result.stdout}\n{result.stderr}", pytrace=False)
    yield stack
    stack.down()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    stack = getattr(item, "funcargs", {}).get("stack")
    if report.failed and stack:
        logs = stack.compose("logs", "--no-color", "--tail", str(KEPT_LINES)).stdout
        report.sections.append((f"logs of {stack.project}", logs))
    return report
