"""From which value on something is wrong: the number that the alert compares with, so that both change together."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, NamedTuple

import yaml
from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models.dashboard import Threshold, ThresholdsMode

from deploy.rendering import ROOT
from grafana.builder.palette import CRITICAL, SEVERITIES, WELL


class Limits(NamedTuple):
    """alert: whose runbook a panel with these limits links to. steps: (from, colour), the first from minus infinity."""

    alert: str
    steps: tuple[tuple[float | None, str], ...]

    def thresholds(self) -> ThresholdsConfig:
        steps = [Threshold(value=value, color=colour) for value, colour in self.steps]
        return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


@cache
def alerts() -> dict[str, dict[str, Any]]:
    """Every alert of deploy/prometheus/rules by its name."""
    files = sorted((ROOT / "deploy/prometheus/rules").glob("*.yaml"))
    groups = [group for path in files for group in yaml.safe_load(path.read_text())["groups"]]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def told(matcher: str = "") -> str:
    """Our alerts among all of a Prometheus that others use too. matcher: one more for `ALERTS{...}`."""
    names = "|".join(sorted(alerts()))
    return f'ALERTS{{alertname=~"{names}"{matcher and ", "}{matcher}}}'


def of_alert(name: str, after: str = "", *, whole: bool = False) -> Limits:
    """The number that alert `name` compares with, after the text `after` of its expression, or at the end of it.

    whole: the value is a count, so that `> 0` begins at 1. Raises LookupError when the alert has no such comparison.
    """
    rule = alerts()[name]
    pattern = rf"{re.escape(after)}\s*([<>]=?)\s*(?:on \(\w+\)\s*)?([\d.]+)" + ("" if after else r"$")
    found = re.search(pattern, rule["expr"].strip())
    if found is None:
        raise LookupError(f"{name} compares nothing with a number after {after!r}: {rule['expr']}")
    value = float(found[2]) + (whole and found[1] == ">")
    wrong = SEVERITIES[rule["labels"]["severity"]]
    below, above = (wrong, WELL) if found[1].startswith("<") else (WELL, wrong)
    return Limits(name, ((None, below), (value, above)))


def flag(alert: str, *, bad: float) -> Limits:
    """For what is 0 or 1; `bad` is the wrong one."""
    return Limits(alert, ((None, CRITICAL if bad == 0 else WELL), (1, WELL if bad == 0 else CRITICAL)))


TARGET = Limits("QueueTooOld", ((None, WELL), (1, SEVERITIES["warning"])))  # 1: as old as the queue's age_target
ANY = Limits("", ((None, WELL), (1, CRITICAL)))
NONE = Limits("", ((None, WELL),))
