from __future__ import annotations

from dataclasses import replace

import pytest

from bench import rounds, variants
from bench.rounds import Plan
from bench.scenarios.registry import Scenario
from bench.servers import Servers
from bench.variants import DIRECT, PREFORK, STOCK, missing

SERVERS = {"redis": Servers("redis", "redis://r/0", "redis://r/0")}


@pytest.fixture
def seen(monkeypatch):
    monkeypatch.setattr(rounds, "missing", lambda variant, broker: "no such pool" if variant is DIRECT else None)
    return []


def scenario(name, seen, *members):
    def measure(variant, servers, tasks):
        seen.append((name, variant.name))
        return {"rate": len(seen)}

    return Scenario(name, measure, members)


def test_the_variants_take_turns(seen, capsys):
    both = [scenario("a", seen, STOCK, PREFORK, DIRECT), scenario("b", seen, STOCK)]
    found = Plan(SERVERS, both, 100, 2, 60).measure()

    assert seen == [("a", "stock"), ("a", "prefork"), ("b", "stock")] * 2
    assert found == {
        "redis": {"a": {"stock": {"rate": [1, 4]}, "prefork": {"rate": [2, 5]}}, "b": {"stock": {"rate": [3, 6]}}}
    }
    assert "redis a direct: left out, no such pool" in capsys.readouterr().err


def test_nothing_begins_after_the_time_is_over(seen, capsys):
    plan = Plan(SERVERS, [scenario("a", seen, STOCK)], 100, 3, 0.0)
    plan.started -= 1

    assert plan.measure() == {} and seen == []
    assert "3 of 3 measurements left out" in capsys.readouterr().err


def test_the_quick_run_measures_what_is_named_for_it(seen):
    named = replace(scenario("a", seen, STOCK, PREFORK), quick=(PREFORK,))
    Plan(SERVERS, [named, scenario("b", seen, STOCK)], 100, 1, 60, quick=True).measure()

    assert seen == [("a", "prefork")]


def test_what_is_the_same_every_time_is_measured_in_the_first_rounds_only(seen):
    Plan(SERVERS, [replace(scenario("a", seen, STOCK), rounds=2), scenario("b", seen, STOCK)], 100, 3, 60).measure()

    assert [name for name, _ in seen] == ["a", "b", "a", "b", "b"]


def test_a_pool_that_the_runtime_does_not_have_is_left_out_with_a_reason(monkeypatch):
    monkeypatch.setattr(variants, "_pools", lambda: ("prefork", "threads"))
    assert missing(DIRECT, "redis") == "this version of the runtime has no direct pool"
    assert missing(PREFORK, "redis") is None

    monkeypatch.setattr(variants, "_pools", lambda: ("prefork", "direct"))
    assert missing(DIRECT, "redis") is None
    assert missing(DIRECT, "rabbitmq") is None
    assert missing(variants.PEERS[0], "rabbitmq") == "measured on Redis only"
