"""What an operator types: `celery-runtime ...`, several in one process, because starting one takes a second."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

import httpx

RUNNER = """
import contextlib, io, json, sys
from celery_runtime.cli import main

def run(command):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(command)
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}

print(json.dumps([run(command) for command in json.loads(sys.argv[1])]))
"""


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def rows(self):
        """The table without its head, by its first column."""
        lines = [line.split() for line in self.out.splitlines()[1:]]
        return {words[0]: words[1:] for words in lines if words}


def celery_runtime(service, *commands):
    """Run the commands, each a list of words, one after the other; returns what each of them said."""
    words = json.dumps([command.split() if isinstance(command, str) else command for command in commands])
    command = [sys.executable, "-c", RUNNER, words]
    done = subprocess.run(command, env=service.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [Said(**said) for said in json.loads(done.stdout)]


def scrape(service, worker):
    """A worker's /metrics."""
    url = f"http://127.0.0.1:{service.health_ports[worker]}/metrics"
    return httpx.get(url, trust_env=False).raise_for_status().text


def metric(service, worker, sample):
    """The value of one line of a worker's /metrics, 0 when it is not there."""
    lines = scrape(service, worker).splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{sample} ")), 0.0)
