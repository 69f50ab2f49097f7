"""Every row of the matrix; importing this package registers them."""

from tests.chaos.rows import brokers, workers

__all__ = ["brokers", "workers"]
