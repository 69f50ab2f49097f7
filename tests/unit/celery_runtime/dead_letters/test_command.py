from __future__ import annotations

import pytest

from celery_runtime.cli import main


@pytest.fixture(autouse=True)
def queues(monkeypatch, tmp_path):
    (tmp_path / "queues.toml").write_text("[queues.media]\n[queues.ai]\n")
    (tmp_path / "own.py").write_text("from celery import Celery\napp = Celery('own')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("QUEUES_FILE", str(tmp_path / "queues.toml"))
    monkeypatch.setenv("CELERY_APP", "own:app")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["list", "--queue", "reports"], ["--queue reports", "media, ai"]),
        (["list", "--reason", "bad"], ["--reason bad", "unknown-task, undecodable"]),
        (["replay", "--older-than", "soon"], ["--older-than soon", "90s, 15m, 12h, 7d"]),
        (["replay", "--older-than", "5"], ["--older-than 5"]),
        (["purge", "--limit", "0"], ["--limit 0", "from 1"]),
        (["purge", "--limit", "-3"], ["--limit -3"]),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(capsys, words, names):
    assert main(["dead-letters", *words]) == 2
    message = capsys.readouterr().err
    for name in names:
        assert name in message


def test_a_broker_that_does_not_answer_is_told_without_a_traceback(capsys):
    assert main(["dead-letters", "list"]) == 1
    assert "@127.0.0.1:1/0 does not answer" in capsys.readouterr().err


def test_nothing_can_be_done_without_an_action(capsys):
    with pytest.raises(SystemExit) as error:
        main(["dead-letters"])

    assert error.value.code == 2
