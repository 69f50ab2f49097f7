"""Every row of the matrix; importing this package registers them."""

from tests.chaos.rows import brokers, children, endurance, failover, messages, results, schedule, workers

__all__ = ["brokers", "children", "endurance", "failover", "messages", "results", "schedule", "workers"]
