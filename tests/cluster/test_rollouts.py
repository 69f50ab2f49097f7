"""New releases under load: of workers, of a task that only the new ones know, of the API with a migration."""

from __future__ import annotations

import json

import pytest

from tests.chaos.lab import until
from tests.cluster.load import on_redis

pytestmark = pytest.mark.timeout(1200)  # the first test of a broker brings the stack up
MIGRATION = '''
"""A migration that takes a while, as on a large table."""

from alembic import op

revision = "9999"
down_revision = "{head}"


def upgrade():
    op.execute("CREATE TABLE rollout_probe (id integer PRIMARY KEY)")
    op.execute("SELECT pg_sleep(5)")


def downgrade():
    op.execute("DROP TABLE rollout_probe")
'''

DOWNGRADE = "with engine().begin() as connection: command.downgrade(configuration(connection), '{head}')"
# Each request over a connection of its own, so that the Service chooses anew.
KNOCK = """
import httpx, time
while True:
    try:
        print(httpx.post("http://api/faults/count", json={"count": 1}, timeout=15).status_code)
    except httpx.HTTPError as error:
        print(type(error).__name__)
    time.sleep(0.05)
"""


@pytest.mark.slow
def test_rollout_restart_under_load(stack, load, workers):
    workers.hold(2)
    producer = load.publishing("sleep", 200, rate=10, seconds=0.5)
    load.until(lambda account: account.ended > 20, "the load to run")
    stack.kubectl("rollout", "restart", "deployment/worker-chaos")
    stack.rolled_out("deployment/worker-chaos")
    load.published(producer)
    load.settle()
    load.judge(lost=0, doubled=0, rerun=0)


@pytest.mark.slow
def test_a_release_with_a_new_task_while_old_producers_run(stack, load, workers):
    stack.kubectl("set", "env", "deployment/worker-chaos", "RELEASE=old")
    workers.hold(2)
    stack.rolled_out("deployment/worker-chaos")
    old = load.publishing("sleep", 200, rate=10, seconds=0.2, env={"RELEASE": "old"})
    load.until(lambda account: account.ended > 20, "the load to run")
    stack.kubectl("set", "env", "deployment/worker-chaos", "RELEASE-")
    stack.rolled_out("deployment/worker-chaos")
    load.publish("newer", 20)
    load.published(old)
    load.settle()
    load.judge(lost=0, doubled=0, rerun=0)


@pytest.fixture
def migration(stack):
    """The revision that the database is at, to which it returns."""
    script = "from alembic.script import ScriptDirectory as S; from app.migrate import configuration as c; "
    script += "print(S.from_config(c(None)).get_current_head())"
    head = stack.run("deployment/api", "python", "-c", script).strip()
    before = stack.get("deployment", "api")["spec"]["template"]
    yield head
    if stack.get("deployment", "api")["spec"]["template"] == before:
        return
    stack.run("deployment/api", "python", "-c", f"from app.migrate import *\n{DOWNGRADE.format(head=head)}")
    stack.kubectl("rollout", "undo", "deployment/api")
    stack.rolled_out("deployment/api")


@pytest.mark.slow
@on_redis
def test_api_rollout_with_a_migration_under_requests(stack, load, migration):
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "migration"}}
    stack.apply(config | {"data": {"9999_probe.py": MIGRATION.format(head=migration)}})
    mount = {"name": "migration", "mountPath": "/srv/app/migrations/versions/9999_probe.py", "subPath": "9999_probe.py"}
    spec = {
        "volumes": [{"name": "migration", "configMap": {"name": "migration"}}],
        "initContainers": [{"name": "migrate", "volumeMounts": [mount]}],
        "containers": [{"name": "api", "volumeMounts": [mount]}],
    }
    client = load.pod("python", "-u", "-c", KNOCK)
    stack.kubectl("wait", "pod", client, "--for=condition=Ready", "--timeout=90s")
    until(lambda: stack.kubectl("logs", client).count("202") > 10, "the first answers", 60)
    stack.kubectl("patch", "deployment", "api", "--patch", json.dumps({"spec": {"template": {"spec": spec}}}))
    stack.rolled_out("deployment/api")
    before = len(stack.kubectl("logs", client).split())
    until(lambda: len(stack.kubectl("logs", client).split()) > before + 10, "answers of the new pods", 60)
    assert set(stack.kubectl("logs", client).split()) == {"202"}
