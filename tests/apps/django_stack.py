"""The Django example as its user brings it up: `make up APP=examples/django`, in a Compose project of its own."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager

import pytest

from tests import brokers
from tests.ports import free_ports
from tests.stack.stack import PORTS, ROOT, Stack, run, wait_for

APP = "examples/django"
KEPT_LINES = 60  # of each service's log, shown with a failure
rabbitmq_is_slow = brokers.rabbitmq_is_slow("django")


class DjangoStack(Stack):
    """The running stack."""

    def compose_files(self, *arguments):
        """Compose with the files of the stack, where the project's name alone is not enough."""
        script = f". deploy/compose/stack.sh && compose offline {' '.join(arguments)}"
        done = run(["bash", "-euc", script], cwd=ROOT, env=self.environ)
        assert done.returncode == 0, done.stderr

    def results(self, task):
        """The states of the results of a task, in order."""
        return [state for name, _, state, _ in self._results() if name == task]

    def runs(self, entry):
        """When the runs of a periodic task ended well, in seconds, in order."""
        return [float(ended) for _, name, state, ended in self._results() if (name, state) == (entry, "SUCCESS")]

    def _results(self):
        query = (
            "select task_name, periodic_task_name, status, extract(epoch from date_done) "
            "from django_celery_results_taskresult order by date_done"
        )
        return [line.split("|") for line in self.rows(query).splitlines()]

    def wait_for_runs(self, entry, more, timeout=60):
        """Wait for `more` runs than there are; returns all."""
        seen = len(self.runs(entry))
        wait_for(f"run {seen + more} of {entry}", lambda: len(self.runs(entry)) >= seen + more, timeout)
        return self.runs(entry)


@pytest.fixture(scope="session", params=["redis", "rabbitmq"])
def django(request, tmp_path_factory):
    """The stack on one broker; its containers, networks, volumes and image are removed at the end."""
    name = f"apps-test-{secrets.token_hex(3)}"
    environ = {
        **os.environ,
        **free_ports(PORTS),
        "APP": APP,
        "BROKER": request.param,
        "PROJECT": name,
        "APP_IMAGE": f"celery-blueprint/django:{name}",
        "SECRETS_DIR": str(tmp_path_factory.mktemp("django") / "secrets"),
    }
    stack = DjangoStack(environ)
    try:
        result = stack.up()
        if result.returncode:
            pytest.fail(f"up.sh ended with {result.returncode}:\n{result.stdout}\n{result.stderr}", pytrace=False)
        stack.said = result.stdout
        yield stack
        down = stack.down()
        assert down.returncode == 0 and not stack.containers(), down.stderr
    finally:
        stack.remove()
        run(["docker", "rmi", environ["APP_IMAGE"]])


@contextmanager
def logs_of(stack):
    """Show what the services said last when what is inside fails."""
    try:
        yield
    except AssertionError:
        print(stack.compose("logs", "--no-color", "--tail", str(KEPT_LINES)).stdout)
        raise
