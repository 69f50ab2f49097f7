"""Beat's schedule, and a run by hand."""

from app.smoke.client import SmokeError, field
from app.smoke.visit import Visit, follow

ENTRY = "relay-outbox"


def listed(visit: Visit) -> str:
    entries = visit.stack.read("/schedule")
    late = [entry["name"] for entry in entries if entry["enabled"] and not entry["next_run"]]
    if not entries or late:
        raise SmokeError(f"of {len(entries)} entries these have no next run: {late}.")
    return f"{len(entries)} entries, among them {', '.join(sorted(entry['name'] for entry in entries)[:3])}"


def run_by_hand(visit: Visit) -> str:
    ended = run(visit, ENTRY)
    return f"{ENTRY} ended as {ended}"


def run(visit: Visit, entry: str) -> str:
    """The state in which a run of an entry's task ended. Raises SmokeError when it failed."""
    status = follow(visit.stack, field(visit.post(f"/schedule/{entry}/run", 202), "task"))[-1]
    if status["state"] != "SUCCESS":
        raise SmokeError(f"{entry} ended as {status['state']}: {status['error']}.")
    return str(status["state"])
