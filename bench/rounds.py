"""Measure by turns: every variant once in each round, so that what else the machine does meets all of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bench.judge import Measured
from bench.scenarios.registry import Scenario
from bench.servers import Servers
from bench.variants import Variant, missing


@dataclass
class Plan:
    """What to measure. minutes: no measurement begins later than this; what is left then stays unmeasured."""

    servers: dict[str, Servers]
    scenarios: Sequence[Scenario]
    tasks: int
    runs: int
    minutes: float
    quick: bool = False
    started: float = field(default_factory=time.monotonic)
    found: Measured = field(default_factory=dict)

    def measure(self) -> Measured:
        """Raises BenchError when a variant does not do its tasks."""
        for servers, scenario, variant, reason in self._left_out():
            self._say(f"{servers.broker} {scenario.name} {variant.name}: left out, {reason}")
        steps = [(number, *step) for number in range(self.runs) for step in self._steps() if number < step[1].rounds]
        for done, (number, servers, scenario, variant) in enumerate(steps):
            if time.monotonic() - self.started > self.minutes * 60:
                self._say(
                    f"{self.minutes:g} minutes are over: {len(steps) - done} of {len(steps)} measurements left out"
                )
                break
            figures = scenario.measure(variant, servers, self.tasks)
            self._keep(servers.broker, scenario.name, variant.name, figures)
            told = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
            self._say(f"{done + 1}/{len(steps)} {servers.broker} {scenario.name} {number + 1} {variant.name}: {told}")
        return self.found

    def _steps(self) -> Iterator[tuple[Servers, Scenario, Variant]]:
        for servers, scenario, variant in self._all():
            if missing(variant, servers.broker) is None:
                yield servers, scenario, variant

    def _left_out(self) -> Iterator[tuple[Servers, Scenario, Variant, str]]:
        for servers, scenario, variant in self._all():
            if reason := missing(variant, servers.broker):
                yield servers, scenario, variant, reason

    def _all(self) -> Iterator[tuple[Servers, Scenario, Variant]]:
        for scenario in self.scenarios:
            for servers in self.servers.values():
                for variant in scenario.quick if self.quick else scenario.variants:
                    yield servers, scenario, variant

    def _keep(self, broker: str, scenario: str, variant: str, figures: dict[str, float]) -> None:
        metrics = self.found.setdefault(broker, {}).setdefault(scenario, {}).setdefault(variant, {})
        for name, value in figures.items():
            metrics.setdefault(name, []).append(round(value, 4))

    def _say(self, text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self.started), 60)
        print(f"[{minutes:2}:{seconds:02}] {text}", file=sys.stderr, flush=True)
