"""What the panels ask Prometheus, as Grafana would: from the committed JSON, with the variables filled in.

Nothing here needs more than the standard library, so that whatever draws or checks the panels can use it.
"""

from __future__ import annotations

import json
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parent / "dashboards"
INTERVAL = "1m"  # what Grafana makes of $__rate_interval where Prometheus scrapes every 15 s, on graphs of an hour
TIMEOUT = 30.0  # seconds


class Panel(NamedTuple):
    """One panel of one dashboard; `queries` are (expression, legend) as they stand in the JSON."""

    dashboard: str
    row: str
    title: str
    kind: str
    queries: tuple[tuple[str, str], ...]
    json: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.dashboard} / {self.row} / {self.title}"


def dashboards(folder: Path = FOLDER) -> dict[str, dict[str, Any]]:
    """The committed JSON by name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def panels(name: str, dashboard: Mapping[str, Any]) -> Iterator[Panel]:
    """The panels of a dashboard, in their order."""
    row = ""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            row = panel["title"]
            continue
        queries = tuple((target["expr"], target.get("legendFormat", "")) for target in panel["targets"])
        yield Panel(name, row, panel["title"], panel["type"], queries, panel)


def filled(expr: str, values: Mapping[str, str], everything: str = ".*") -> str:
    """The expression with `values` for its variables, and `everything` for those that have none."""
    known = {"__rate_interval": INTERVAL, **values}
    return re.sub(r"\$\{?(\w*[A-Za-z_]\w*)\}?", lambda found: known.get(found[1], everything), expr)


def ask(prometheus: str, path: str, **parameters: object) -> Any:
    """What Prometheus answers. Raises OSError when it does not, ValueError with its words when it refuses."""
    url = f"{prometheus.rstrip('/')}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=TIMEOUT) as answer:
            return json.load(answer)["data"]
    except urllib.error.HTTPError as error:
        raise ValueError(f"{parameters.get('query', path)}: {error.read().decode(errors='replace')[:300]}") from None
