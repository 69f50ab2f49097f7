"""One suite on one broker, with stock Celery and with this runtime: which failures are the runtime's."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.conformance.cases import Run


@dataclass
class Comparison:
    """`tests` are all that were to run; `repeats` hold further runs of what failed in either flavour."""

    suite: str
    broker: str
    tests: list[str]
    stock: Run
    blueprint: Run
    repeats: list[tuple[Run, Run]] = field(default_factory=list)

    def failed(self) -> list[str]:
        """Return what failed, or was worse than with stock, in the first run of either flavour."""
        return [
            test for test in self.tests if self.stock[test].failed or self.blueprint[test].failed or self._worse(test)
        ]

    def differences(self) -> list[str]:
        """Return the tests that fail with the runtime and never with stock Celery.

        A failure that no repeat shows again is no difference: many of theirs ask to be run up to six times until they
        pass, with anybody's transport.
        """
        return [test for test in self.tests if self._worse(test) and self._fails_here_only(test)]

    def unknown(self) -> list[str]:
        """Return the tests that stock Celery never got to: nothing can be said about them."""
        return [test for test in self.tests if all(run[test].outcome == "missing" for run in self._runs(0))]

    def failures(self, test: str) -> tuple[int, int]:
        """Return how often a test failed with stock Celery and with the runtime; both ran it equally often."""
        stock, blueprint = (sum(run[test].failed for run in self._runs(flavour, test)) for flavour in (0, 1))
        return stock, blueprint

    def times_run(self, test: str) -> int:
        return 1 + sum(test in stock.cases or test in blueprint.cases for stock, blueprint in self.repeats)

    def _runs(self, flavour: int, test: str = "") -> list[Run]:
        repeats = [pair for pair in self.repeats if not test or any(test in run.cases for run in pair)]
        return [(self.stock, self.blueprint)[flavour], *(pair[flavour] for pair in repeats)]

    def _fails_here_only(self, test: str) -> bool:
        stock, blueprint = self.failures(test)
        return stock == 0 and (blueprint != 1 or self.times_run(test) == 1)

    def _worse(self, test: str) -> bool:
        stock, blueprint = self.stock[test], self.blueprint[test]
        if blueprint.outcome == "skipped":
            return stock.outcome in {"passed", "xfailed"}
        return blueprint.failed and not stock.failed
