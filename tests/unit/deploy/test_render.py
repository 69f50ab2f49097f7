from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from celery_runtime.queues import load_queues
from deploy.render import RENDERED

ROOT = Path(__file__).parents[3]


@pytest.fixture
def repository(tmp_path):
    """A copy of what rendering reads and writes."""
    shutil.copy(ROOT / "queues.toml", tmp_path)
    for path in RENDERED.values():
        (tmp_path / path).parent.mkdir(parents=True)
        shutil.copy(ROOT / path, tmp_path / path)
    return tmp_path


def render(repository, *options):
    command = [sys.executable, "-m", "deploy.render", "--root", repository, *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def workers(repository):
    return yaml.safe_load((repository / "deploy/compose/workers.yaml").read_text())["services"]


def test_what_is_committed_is_what_queues_toml_says():
    result = render(ROOT, "--check")
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_change_in_queues_toml_makes_the_rendered_file_stale(repository):
    text = (repository / "queues.toml").read_text()
    (repository / "queues.toml").write_text(text.replace("time_limit = 300", "time_limit = 600"))

    result = render(repository, "--check")

    assert result.returncode == 1
    assert "workers.yaml is stale" in result.stderr and "stop_grace_period: 630s" in result.stdout


def test_a_worker_stops_within_its_queues_time_budget(repository):
    render(repository)

    for name, queue in load_queues(repository / "queues.toml").items():
        worker = workers(repository)[f"worker-{name}"]
        assert worker["stop_grace_period"] == f"{queue.grace}s"
        assert worker["command"] == ["celery-runtime", "worker", name]
        assert worker["mem_limit"] == f"{queue.resources.memory_mib}m"


def test_a_new_queue_is_one_block_and_one_worker(repository):
    result = render(repository, "--add", "reports")

    assert result.returncode == 0, result.stderr
    assert "added [queues.reports]" in result.stdout
    assert (repository / "queues.toml").read_text().endswith("[queues.reports]\nconcurrency = 2\ntime_limit = 60\n")
    assert "worker-reports" in workers(repository)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("media", "exists already"),
        ("Reports", "not a valid name"),
        ("", "not a valid name"),
        ("a b", "not a valid name"),
    ],
)
def test_a_name_that_cannot_be_added_changes_nothing(repository, name, words):
    before = (repository / "queues.toml").read_text()

    result = render(repository, "--add", name)

    assert result.returncode == 2
    assert words in result.stderr and "Traceback" not in result.stderr
    assert (repository / "queues.toml").read_text() == before


def test_a_broken_file_is_told_without_a_traceback_and_renders_nothing(repository):
    before = (repository / "deploy/compose/workers.yaml").read_text()
    (repository / "queues.toml").write_text("[queues.media]\ntime_limit = 300\ndrain = 120\n")

    result = render(repository)

    assert result.returncode == 2
    assert "drain = 120 is not above its time_limit = 300" in result.stderr and "Traceback" not in result.stderr
    assert (repository / "deploy/compose/workers.yaml").read_text() == before
