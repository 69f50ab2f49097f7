"""Write the dashboards' JSON, or say which is stale: `python -m grafana.builder [--check]`."""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path

from deploy.rendering import ROOT
from grafana.builder import DASHBOARDS, text

FOLDER = Path("grafana/dashboards")


def main() -> int:
    """Returns 1 when a file is stale and `--check` forbids to write it."""
    parser = argparse.ArgumentParser(description="Write the dashboards' JSON.")
    parser.add_argument("--check", action="store_true", help="write nothing, fail when a file is stale")
    check = parser.parse_args().check
    stale = 0
    for name, module in DASHBOARDS.items():
        path, wanted = FOLDER / f"{name}.json", text(name, module)
        current = (ROOT / path).read_text() if (ROOT / path).exists() else ""
        if current == wanted and not check:
            print(f"{path}: up to date")
        elif current != wanted and check:
            stale += 1
            changes = difflib.unified_diff(
                current.splitlines(), wanted.splitlines(), str(path), "grafana/builder", lineterm=""
            )
            print("\n".join(changes))
            print(f"{path} is stale.\n  Run make render and commit the result.", file=sys.stderr)
        elif current != wanted:
            (ROOT / path).write_text(wanted)
            print(f"{path}: written")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
