"""Every row of the matrix; importing this package registers them."""

from tests.chaos.rows import brokers, endurance, failover, messages, results, schedule, workers

__all__ = ["brokers", "endurance", "failover", "messages", "results", "schedule", "workers"]
