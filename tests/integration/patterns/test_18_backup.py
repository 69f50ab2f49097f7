"""Rows 18 and 21: the nightly dump, made by the application's own image, by one worker at a time."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, make_url, text

from tests.integration.conftest import PASSWORD, until

TABLES = ("users", "posts", "subscriptions", "bills", "images", "blobs")
CONTENT = "SELECT count(*), md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {} t"
OLD = "app-20200101T000000Z.dump"


def address(container):
    container.reload()
    return container.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]


@pytest.fixture(scope="module")
def database(postgres):
    return f"postgresql://app@{address(postgres[0])}:5432"


@pytest.fixture(scope="module")
def workers(service, broker, environment, redis, database, images, containers, secrets, request):
    """Two workers of the queue, in the image that `make up` runs."""
    names = ("REDIS", "RABBITMQ", "DATABASE")
    env = {f"{name}_PASSWORD_FILE": "/run/secrets/password" for name in names} | {
        "BROKER": broker,
        "REDIS_URL": f"redis://celery@{address(redis[0])}:6379/0",
        "DATABASE_URL": database.replace("postgresql", "postgresql+psycopg") + "/app",
        "HEALTH_ADDRESS": "0.0.0.0",  # noqa: S104 -- of a container, whose port is published on loopback
        "BACKUP_DIR": "/backups",
        "BACKUP_KEEP_DAYS": "1",
    }
    if broker == "rabbitmq":
        env["RABBITMQ_URL"] = f"amqp://celery@{address(request.getfixturevalue('rabbitmq')[0])}:5672/celery"
    service.stop("worker-backup")
    command = ("celery-runtime", "worker", "backup")
    files = [(secrets / "password", "/run/secrets/password")]
    started = [containers(images["api"], 9808, *command, files=files, env=env)[0] for _ in range(2)]
    try:
        for container in started:
            until(lambda c=container: c.exec_run(["celery-runtime", "health", "ready"]).exit_code == 0, 60)
        yield started
    finally:
        for container in started:
            container.remove(force=True, v=True)
        service.start_worker("backup")
        service.wait(lambda: service.health("worker-backup", "ready"), "the worker of the queue backup")


@pytest.fixture
def back_up(service):
    def start():
        answer = service.api.post("/schedule/back-up-database/run")
        assert answer.status_code == 202, answer.text
        return answer.json()["task_id"]

    return start


def run_in(container, *command):
    result = container.exec_run(list(command), environment={"PGPASSWORD": PASSWORD})
    return result.exit_code, result.output.decode()


def content(url, name):
    engine = create_engine(make_url(url).set(password=PASSWORD, database=name))
    with engine.connect() as connection:
        found = {table: tuple(connection.execute(text(CONTENT.format(table))).one()) for table in TABLES}
    engine.dispose()
    return found


def test_row_18_backup(service, workers, back_up, postgres, database, environment, broker, user, post):
    for container in workers:
        assert run_in(container, "touch", f"/backups/{OLD}") == (0, "")
    post(user(), "A text with ünïcode, 'quotes' and a \\backslash.")
    before = content(environment["DATABASE_URL"], "app")

    done = service.follow(back_up())[-1]
    assert done["state"] == "SUCCESS", done
    assert done["result"]["removed"] == [OLD]
    name = done["result"]["backup"]
    maker = next(each for each in workers if name in run_in(each, "ls", "/backups")[1])
    assert run_in(maker, "ls", "-A", "/backups") == (0, f"{name}\n")

    # What is in the file is the database, row by row.
    fresh = f"restored_{broker}"
    psql = ["psql", "-U", "app", "-c", f"CREATE DATABASE {fresh}"]
    assert postgres[0].exec_run(psql, environment={"PGPASSWORD": PASSWORD}).exit_code == 0
    restore = ("pg_restore", "--exit-on-error", "--no-owner", f"--dbname={database}/{fresh}", f"/backups/{name}")
    assert run_in(maker, *restore) == (0, "")
    restored = content(environment["DATABASE_URL"], fresh)
    assert restored == before and before["users"][0] > 0

    # Half a file is not taken for a whole one, although `pg_restore --list` finds nothing wrong with it.
    halve = f"head -c -20 /backups/{name} >/tmp/half && pg_restore --list /tmp/half"
    assert run_in(maker, "sh", "-c", halve)[0] == 0
    verify = "from pathlib import Path; from app.backup import verify; verify(Path('/tmp/half'))"
    code, said = run_in(maker, "python", "-c", verify)
    assert code == 1 and "BackupError: pg_restore failed" in said


def test_row_21_locked_task(service, workers, back_up, environment, store, eventually):
    engine = create_engine(make_url(environment["DATABASE_URL"]).set(password=PASSWORD))
    key = "lock:app.tasks.backup.back_up_database"
    with engine.connect() as connection:
        connection.execute(text("LOCK TABLE fault_batches IN ACCESS EXCLUSIVE MODE"))  # the dump waits for it
        first = back_up()
        eventually(lambda: (store.get(key) or "").startswith(first), "the lock")
        assert 0 < store.pttl(key) <= 30_000  # it ends with its holder

        second = service.follow(back_up())[-1]
        assert second["state"] == "SUCCESS"
        assert second["result"] == {"skipped": f"{key} is held by task {first}"}
        assert service.task(first)["state"] == "STARTED"
    engine.dispose()

    assert service.follow(first)[-1]["result"]["backup"].startswith("app-")
    assert store.get(key) is None
