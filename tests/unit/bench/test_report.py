from __future__ import annotations

from bench.judge import Verdict
from bench.report import tables, verdict_table, verdicts
from bench.targets import LEAST, Target

TARGET = Target("drain", "redis", "drain", "prefork", "rate", "stock", "rate", LEAST, 1.7)


def rows(text, name):
    return [line for line in text if line.startswith(f"| {name} |")]


def test_a_table_shows_medians_spreads_and_the_ratio():
    found = {"redis": {"drain": {"prefork": {"rate": [1900, 2000, 2100]}, "stock": {"rate": [1000, 1000, 1000]}}}}
    text = tables(found)

    assert text[:2] == ["### A full queue is emptied, Redis", "| variant | tasks/s | tasks/s against stock |"]
    assert rows(text, "prefork") == ["| prefork | 2000 (10%) | 2.00 |"]
    assert rows(text, "stock") == ["| stock | 1000 |  |"]


def test_a_ratio_of_rounds_that_differ_too_much_is_not_shown():
    found = {"redis": {"drain": {"prefork": {"rate": [1000, 2000, 3000]}, "stock": {"rate": [1000, 1000, 1000]}}}}

    assert rows(tables(found), "prefork") == ["| prefork | 2000 (100%) | - |"]


def test_growth_compares_the_largest_with_the_smallest():
    metrics = {"cpu_ms_1000": [1.0, 1.0], "cpu_ms_10000": [1.1, 1.1], "cpu_ms_1000000": [1.2, 1.2]}
    text = tables({"redis": {"growth-queued": {"stock": metrics}}})

    assert text[1] == "| variant | 1 000 | 10 000 | 1 000 000 | largest against smallest |"
    assert rows(text, "stock") == ["| stock | 1 | 1.1 | 1.2 | 1.20 |"]


def test_variants_stand_in_the_order_in_which_they_are_measured():
    variants = {name: {"rate": [1.0]} for name in ("arq", "direct", "stock", "prefork")}
    names = [line.split(" ")[1] for line in tables({"redis": {"drain": variants}})[3:]]

    assert names == ["stock", "prefork", "direct", "arq"]


def test_a_verdict_tells_what_was_wanted_of_whom():
    lines = verdict_table([Verdict(TARGET, "reached", 1.96, 0.08), Verdict(TARGET, "not measured")])

    assert lines[2] == "| drain | prefork on Redis against stock | at least 1.7 | 1.96 (8%) | reached |"
    assert lines[3] == "| drain | prefork on Redis against stock | at least 1.7 | - | not measured |"


def test_only_what_was_asked_for_is_judged():
    judged = verdicts({"redis": {"stop": {"prefork": {"seconds": [1.8, 5]}}}})

    assert {verdict.target.scenario for verdict in judged} == {"stop"}
    assert [(each.target.variant, each.result) for each in judged] == [
        ("direct", "not measured"),
        ("prefork", "missed"),
    ]
