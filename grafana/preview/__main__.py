"""Draw every dashboard: `python -m grafana.preview [--prometheus URL] [--minutes 15] [--folder docs/monitoring]`.

Exit code 2: no Prometheus answers there.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grafana.preview import svg
from grafana.preview.answers import Source
from grafana.preview.kinds import Box, draw
from grafana.queries import ask, dashboards, panels

COLUMNS, COLUMN, ROW = 24, 50, 26  # Grafana's grid, and pixels of its units
HEAD = 46
LABEL = (
    "Drawn by make dashboards-preview from this dashboard's queries and a real Prometheus; not a picture of Grafana."
)
POINTS = 48  # of a curve: more would make the files large and look the same


def picture(name: str, dashboard: Mapping[str, Any], source: Source) -> str:
    """The SVG of a dashboard, with a line that says what it is."""
    width = COLUMNS * COLUMN
    shapes = [svg.text(12, 22, dashboard["title"], size=18, bold=True), svg.text(12, 38, LABEL, ink=svg.FAINT)]
    placed = {(panel["title"], panel["gridPos"]["y"]): panel["gridPos"] for panel in dashboard["panels"]}
    for (title, _), place in placed.items():
        if any(each["type"] == "row" and each["title"] == title for each in dashboard["panels"]):
            shapes.append(svg.text(12, HEAD + place["y"] * ROW + 18, title, size=13, ink=svg.FAINT, bold=True))
    for panel in panels(name, dashboard):
        place = panel.json["gridPos"]
        box = Box(place["x"] * COLUMN + 4, HEAD + place["y"] * ROW + 2, place["w"] * COLUMN - 8, place["h"] * ROW - 6)
        shapes += draw(panel, box, source)
    bottom = max(place["y"] + place["h"] for place in placed.values())
    return svg.page(width, HEAD + bottom * ROW + 6, shapes, f"{dashboard['title']}. {LABEL}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Draw the dashboards from what a Prometheus knows.")
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090", help="its address (%(default)s)")
    parser.add_argument("--minutes", type=float, default=15.0, help="of the past (%(default)g)")
    parser.add_argument("--folder", type=Path, default=Path("docs/monitoring"), help="where to (%(default)s)")
    arguments = parser.parse_args()
    source = Source(arguments.prometheus, time.time(), arguments.minutes * 60, POINTS)
    try:
        ask(source.url, "query", query="vector(1)")
        arguments.folder.mkdir(parents=True, exist_ok=True)
        for name, dashboard in dashboards().items():
            path = arguments.folder / f"{name}.svg"
            path.write_text(picture(name, dashboard, source))
            print(f"{path}: {path.stat().st_size // 1024} KiB")
    except OSError as error:
        print(f"No Prometheus answers at {source.url}: {error}\n  Bring the stack up first: make up", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
