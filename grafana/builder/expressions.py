"""PromQL that several panels share."""

from __future__ import annotations

WAIT, RUN = "celery_task_wait_seconds", "celery_task_run_seconds"  # the first by queue, the second by task too
STEP = "$__rate_interval"


def risen(counter: str, by: str, window: str) -> str:
    """Increase within `window`, with what a counter began with: what fails once is at 1 when it is seen first."""
    began = f"min_over_time({counter}[{window}]) unless {counter} offset {window}"
    return f'sum by ({by}) (increase({counter}[{window}]) or label_replace({began}, "part", "first", "", ""))'


def p95(histogram: str, where: str, by: str = "le") -> str:
    """Below which 19 of 20 were in 5 minutes, in seconds."""
    return f"histogram_quantile(0.95, sum by ({by}) (rate({histogram}_bucket{{{where}}}[5m])))"
