from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app.dev import DevError, private_redis


@pytest.fixture
def path(tmp_path, monkeypatch):
    """The only folder on PATH; `path(text)` puts a redis-server there that prints the text."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def put(text):
        server = tmp_path / "redis-server"
        server.write_text(f"#!/bin/sh\necho '{text}'\n")
        server.chmod(0o755)
        return server

    return put


def test_the_server_on_path_comes_first(path):
    server = path("Redis server v=7.2.4 sha=00000000:0 malloc=libc")
    assert private_redis.find_server() == server


def test_without_one_there_is_one_beside_python_and_it_runs(path):
    server = private_redis.find_server()
    assert server.parent == Path(sys.executable).parent
    shown = subprocess.run([server, "--version"], capture_output=True, text=True, check=True).stdout
    assert "Redis server v=" in shown


@pytest.mark.parametrize("text", ["Redis server v=5.0.14 sha=0", "6.2 lookalike", "Redis server v=6.0.16 sha=0"])
def test_one_that_is_too_old_or_not_a_redis_is_passed_over(path, text):
    server = path(text)
    assert private_redis.find_server() != server


def test_none_at_all_is_a_clear_message(path, monkeypatch):
    old = path("Redis server v=5.0.14 sha=0")
    monkeypatch.setattr(private_redis, "_beside_python", lambda: None)
    with pytest.raises(DevError, match=r"No Redis server of 6\.2 or newer") as error:
        private_redis.find_server()
    assert f"{old} is 5.0.14" in str(error.value)
    assert "apt-get install redis-server" in str(error.value)


def test_its_configuration_is_for_this_machine_alone(tmp_path):
    lines = private_redis.configuration(6380, "secret", tmp_path).splitlines()
    assert {"bind 127.0.0.1", "port 6380", "requirepass secret", "appendonly yes"} <= set(lines)
    assert "maxmemory-policy noeviction" in lines
