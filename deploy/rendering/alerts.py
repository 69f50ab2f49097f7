"""The alert rules of deploy/prometheus as the Prometheus operator wants them: one resource that holds every group.

Copied as text, so that comments stay; the rules' own tests are promtool's.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

RULE = """\
# Rendered from deploy/prometheus/rules by `make render`: edit them there.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: celery-blueprint
  labels: {app.kubernetes.io/component: monitoring}
spec:
  groups:
"""


def prometheus_rule(folder: Path) -> str:
    """The resource's text, made of the groups of every file in `folder`."""
    groups = [_groups(path) for path in sorted(folder.glob("*.yaml"))]
    return RULE + textwrap.indent("".join(groups), "  ")


def _groups(path: Path) -> str:
    lines = path.read_text().splitlines(keepends=True)
    return "".join(lines[lines.index("groups:\n") + 1 :])
