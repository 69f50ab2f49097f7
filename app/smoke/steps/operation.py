"""What whoever operates the system asks."""

from app.smoke.client import SmokeError, expect
from app.smoke.visit import Visit


def workers(visit: Visit) -> str:
    return ", ".join(f"{name} {queue['consumers']}" for name, queue in visit.health["queues"].items())


def dead_letters(visit: Visit) -> str:
    """Reads their number only: a walk through leaves none behind."""
    parked = {name: queue["dead_letters"] for name, queue in visit.health["queues"].items()}
    return f"{sum(parked.values())} parked in {len(parked)} queues; see `make dead-letters`"


def metrics(visit: Visit) -> str:
    answer = visit.stack.ask("GET", "/metrics")
    expect(answer, 200)
    names = {line.split("{")[0].split()[0] for line in answer.text.splitlines() if line and not line.startswith("#")}
    if "http_requests_total" not in names:
        raise SmokeError("GET /metrics has no http_requests_total.")
    return f"{len(names)} series of the API"


def health(visit: Visit) -> str:
    found = visit.health
    if found["status"] == "failing":
        raise SmokeError(f"the system is failing: {'; '.join(found['problems'])}.")
    tick = found["beat"]["last_tick_seconds"]
    return f"{found['status']}; broker, results, database answer, Beat ticked {tick:.0f} s ago"
