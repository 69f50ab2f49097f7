"""Celery's autoscaler for a pool that holds no backlog: what its children do says whether there is too much of it."""

from __future__ import annotations

from celery.worker import autoscale


class Autoscaler(autoscale.Autoscaler):  # type: ignore[misc]
    """Celery's, which counts the tasks that wait in the worker; with other pools than the direct one it is that."""

    @property
    def qty(self) -> int:
        demand: int | None = getattr(self.pool, "demand", None)
        return int(super().qty) if demand is None else demand
