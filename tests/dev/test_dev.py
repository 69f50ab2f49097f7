from __future__ import annotations

import socket

import httpx
import pytest

from app.smoke.__main__ import main as smoke
from tests.dev.conftest import PORTS
from tests.ports import free_ports


def test_a_picture_goes_through_ctrl_c_ends_everything_and_data_stays(dev, capsys):
    run = dev()
    run.wait_until_ready()
    assert smoke(["--api", run.api, "--mail", run.mail]) == 0, capsys.readouterr().err + run.output
    out = capsys.readouterr().out
    assert "lost 0, doubled 0" in out
    picture = next(word for word in out.replace(",", "").split() if word.startswith("/images/"))
    family = run.family()

    assert run.interrupt() == 0
    run.assert_nothing_is_left(family)
    assert "Traceback" not in run.output

    again = dev()
    again.wait_until_ready()
    assert httpx.get(again.api + picture, trust_env=False).json()["state"] == "ready"
    family = again.family()

    again.process.terminate()
    assert again.process.wait(timeout=60) == 0
    again.assert_nothing_is_left(family)


def test_a_worker_that_dies_ends_everything_with_its_pool(dev):
    run = dev()
    run.wait_until_ready()
    family = run.family()

    run.find("celery_runtime", "worker", "media").kill()

    assert run.process.wait(timeout=60) == 1
    assert "worker-media ended by itself" in run.output
    run.assert_nothing_is_left(family)


def test_nothing_outlives_a_killed_run_and_the_next_one_starts(dev):
    run = dev()
    run.wait_until_ready()
    family = run.family()

    run.process.kill()
    run.assert_nothing_is_left(family)

    again = dev()
    again.wait_until_ready()
    assert again.interrupt() == 0


def test_ctrl_c_while_starting_ends_everything(dev):
    run = dev()
    while "redis started" not in run.output:
        assert run.process.poll() is None, run.output
    family = run.family()

    assert run.interrupt() == 0
    run.assert_nothing_is_left(family)
    assert "Traceback" not in run.output


def test_a_second_run_in_the_same_folder_is_refused(dev):
    run = dev()
    run.wait_until_ready()

    second = dev(**free_ports(PORTS))
    assert second.process.wait(timeout=60) == 2
    assert f"is in use by another `make dev`, process {run.process.pid}." in second.output
    assert run.interrupt() == 0


@pytest.mark.parametrize("variable", ["API_PORT", "MAIL_HTTP_PORT", "MAIL_SMTP_PORT", "AI_PORT"])
def test_a_port_in_use_is_refused_before_anything_starts(dev, ports, tmp_path, variable):
    with socket.create_server(("127.0.0.1", int(ports[variable]))):
        run = dev()
        assert run.process.wait(timeout=60) == 2
    assert run.output.startswith(f"{variable} = {ports[variable]}: 127.0.0.1:{ports[variable]} cannot be used")
    assert f"or choose another port: {variable}=" in run.output
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("environ", "complaint"),
    [
        ({"BROKER": "rabbitmq"}, "BROKER = 'rabbitmq': `make dev` runs on a Redis of its own only."),
        ({"API_PORT": "http"}, "API_PORT = 'http' is not a port."),
        ({"AI_PORT": "99999"}, "AI_PORT = '99999' is not a port."),
        ({"QUEUES_FILE": "/nowhere/queues.toml"}, "/nowhere/queues.toml"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_starts(dev, tmp_path, environ, complaint):
    run = dev(**environ)
    assert run.process.wait(timeout=60) == 2
    assert run.output.startswith(complaint)
    assert "Traceback" not in run.output
    assert not (tmp_path / "state").exists()


def test_two_of_its_ports_must_differ(dev, ports):
    run = dev(AI_PORT=ports["API_PORT"])
    assert run.process.wait(timeout=60) == 2
    assert run.output.startswith(f"API_PORT and AI_PORT are both {ports['API_PORT']}.")


def test_a_folder_that_cannot_be_written_is_named(dev, tmp_path):
    (tmp_path / "state").write_text("a file, not a folder")
    run = dev()
    assert run.process.wait(timeout=60) == 2
    assert run.output.startswith(f"DEV_STATE_DIR = {tmp_path / 'state'} cannot be written")


@pytest.mark.slow  # the migration gives a database a minute to come up
def test_a_database_that_cannot_be_used_is_named(dev, tmp_path):
    (tmp_path / "state" / "app.db").mkdir(parents=True)
    run = dev()
    assert run.process.wait(timeout=90) == 2
    assert "could not be prepared" in run.output
    assert "Traceback" not in run.output
