"""Environments of their own for versions of Celery and Python, with the runtime installed into them."""

from __future__ import annotations

import os
import subprocess
import tomllib

from tests.apps.sides import ROOT

UV = ROOT / ".venv/bin/uv"


def python_of(version):
    """The path of that Python on this machine; nothing where there is none."""
    found = _uv("python", "find", "--no-project", "--no-python-downloads", version)
    return found.stdout.strip() if found.returncode == 0 else ""


def make(folder, python, celery):
    """Make an environment with this release of Celery; returns its Python. One that does not fit is put in by force."""
    made = _uv("venv", "--python", python, str(folder))
    assert made.returncode == 0, made.stderr
    inside = folder / "bin/python"
    wanted = f"celery[redis]=={celery}.*"
    installed = _uv("pip", "install", "--python", str(inside), str(ROOT), wanted)
    if installed.returncode != 0:
        for words in (["--no-deps", str(ROOT)], [wanted, *_other_dependencies()]):
            installed = _uv("pip", "install", "--python", str(inside), *words)
            assert installed.returncode == 0, installed.stderr
    return inside


def versions(python):
    """The version of each package that is installed there."""
    listed = _uv("pip", "freeze", "--python", str(python)).stdout.splitlines()
    return dict(line.split("==") for line in listed if "==" in line)


def _other_dependencies():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [each for each in project["dependencies"] if not each.startswith(("celery[", "kombu"))]


def _uv(*words):
    environment = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH"}}
    return subprocess.run([UV, *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
