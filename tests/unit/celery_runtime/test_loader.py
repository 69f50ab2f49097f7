from __future__ import annotations

import pytest
from celery import Celery

from celery_runtime import install

LOADER = "celery_runtime.loader:Loader"


@pytest.fixture
def app(monkeypatch, tmp_path):
    """An app whose code knows nothing of the runtime, in a process that somebody else starts."""
    (tmp_path / "queues.toml").write_text("[queues.default]\n")
    monkeypatch.setenv("QUEUES_FILE", str(tmp_path / "queues.toml"))
    monkeypatch.setenv("CELERY_LOADER", LOADER)
    app = Celery("theirs", set_as_current=False, fixups={lambda app: app.loader})  # Django's asks for it as early
    app.config_from_object({"task_routes": {"a.*": {"queue": "default"}}})
    return app


@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
def test_an_app_has_the_runtime_as_soon_as_it_reads_its_settings(app, monkeypatch, broker):
    monkeypatch.setenv("BROKER", broker)

    assert app.conf.task_acks_late is True
    assert app.conf.task_routes == {"a.*": {"queue": "default"}}
    assert app.celery_runtime_installed


def test_a_worker_of_such_an_app_has_the_runtime_once(app):
    plain = Celery("plain", loader="celery.loaders.app:AppLoader", set_as_current=False)

    assert len(install(app).steps["consumer"]) == len(install(plain).steps["consumer"])
    app.conf.finalize()
    assert len(app.steps["consumer"]) == len(plain.steps["consumer"])


def test_a_wrong_setting_ends_the_process_with_a_message(app, monkeypatch, capsys):
    monkeypatch.setenv("BROKER", "kafka")

    with pytest.raises(SystemExit) as ended:
        app.conf.task_acks_late  # noqa: B018 -- reading is what loads them

    assert ended.value.code == 2
    assert "BROKER = 'kafka'" in capsys.readouterr().err
