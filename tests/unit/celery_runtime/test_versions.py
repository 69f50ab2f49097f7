from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from celery import Celery

from celery_runtime import install, versions
from celery_runtime.cli import main
from celery_runtime.settings import ConfigError

PROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]


@pytest.fixture
def with_version(monkeypatch):
    def pretend(package, found):
        monkeypatch.setattr(versions, "version", lambda name: found if name == package else "5.7.0")

    return pretend


@pytest.mark.parametrize(
    ("package", "found"), [("celery", "5.6.3"), ("celery", "4.4.7"), ("celery", "5.8.0rc1"), ("kombu", "5.6.2")]
)
def test_another_version_is_refused_before_anything_of_it_is_used(with_version, capsys, package, found):
    with_version(package, found)

    with pytest.raises(ConfigError, match=f"{package} {found} is installed"):
        install(Celery("some-app", set_as_current=False))
    assert main(["check"]) == 2
    message = capsys.readouterr().err
    assert f"{package} {found} is installed" in message and f"pip install '{package}>=" in message


@pytest.mark.parametrize("found", ["5.7.0", "5.7.10"])
def test_what_fits_is_not_refused(with_version, found):
    with_version("celery", found)
    versions.check()


def test_the_package_asks_for_what_the_runtime_accepts():
    for package, (first, beyond) in versions.SUPPORTED.items():
        least, below = (".".join(map(str, each)) for each in (first, beyond))
        extras = "[redis]" if package == "celery" else ""
        assert f"{package}{extras}>={least},<{below}" in PROJECT["dependencies"]
