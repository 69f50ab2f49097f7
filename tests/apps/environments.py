"""Environments of their own for versions of Celery and Python, with the runtime installed into them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from pathlib import Path

from tests.apps.sides import ROOT

UV = ROOT / ".venv/bin/uv"


def python_of(version):
    """The path of that Python on this machine, one of pyenv's too; nothing where there is none."""
    folder = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    names = [*map(str, folder.glob(f"{version}.*/bin/python")), shutil.which(f"python{version}") or ""]
    asked = "import sys; print(*sys.version_info[:2], sep='.')"
    for name in filter(None, names):
        answer = subprocess.run([name, "-c", asked], capture_output=True, text=True, check=False)
        if answer.stdout.strip() == version:
            return name
    return ""


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
