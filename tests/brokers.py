"""On which broker a test runs in `make test`, and on which in `make test-all` alone."""

from __future__ import annotations

import pytest


def rabbitmq_is_slow(fixture):
    """Mark what the broker has little part in. fixture: of the session, which takes a broker's name."""
    brokers = ["redis", pytest.param("rabbitmq", marks=pytest.mark.slow)]
    return pytest.mark.parametrize(fixture, brokers, indirect=True, scope="session")
