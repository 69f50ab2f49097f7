from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bench.page import BEGIN, END, render
from bench.plots import pictures
from bench.result import merge, read
from bench.servers import BenchError

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/performance.md"
FOUND = {"redis": {"drain": {"stock": {"rate": [1000.0, 1000.0]}}}}
SETTINGS = {"tasks": 2500, "load_before": 0.1}


def test_only_what_stands_between_the_markers_is_replaced(tmp_path):
    result = merge(tmp_path / "result.json", FOUND, SETTINGS)
    text = render(f"before\n{BEGIN}\nold\n{END}\nafter\n", "performance", result)

    assert text.startswith(f"before\n{BEGIN}\nMachine: ") and text.endswith(f"{END}\nafter\n")
    assert "old" not in text
    assert "| stock | 1000 |  |" in text
    assert "(performance/drain-redis.svg)" in text
    assert render(text, "performance", result) == text


@pytest.mark.parametrize("text", ["", BEGIN, END, f"{END} {BEGIN}"])
def test_a_page_without_its_markers_is_refused(text, tmp_path):
    result = merge(tmp_path / "result.json", FOUND, SETTINGS)
    with pytest.raises(BenchError, match="in this order"):
        render(text, "performance", result)


def test_a_later_run_replaces_its_scenarios_and_keeps_the_others(tmp_path):
    path = tmp_path / "result.json"
    merge(path, {"redis": {"drain": {"stock": {"rate": [1]}}, "stop": {"stock": {"seconds": [3]}}}}, SETTINGS)
    later = merge(path, {"redis": {"drain": {"prefork": {"rate": [2]}}}}, {"tasks": 100, "load_before": 2.5})

    assert later["figures"]["redis"] == {"drain": {"prefork": {"rate": [2]}}, "stop": {"stock": {"seconds": [3]}}}
    assert [later["runs"]["redis"][name]["tasks"] for name in ("drain", "stop")] == [100, 2500]
    assert read(path) == later


def test_the_page_says_how_each_part_was_measured(tmp_path):
    path = tmp_path / "result.json"
    merge(
        path, {"redis": {"drain": {"stock": {"rate": [1, 2, 3]}}, "stop": {"stock": {"seconds": [3, 3, 3]}}}}, SETTINGS
    )
    result = merge(path, {"redis": {"memory": {"stock": {"idle_2": [9]}}}}, {"tasks": 100, "load_before": 2.5})
    text = render(f"{BEGIN}{END}", "performance", result)

    assert re.search(r"- Redis, drain, stop: \S+, 2500 tasks, rounds: 3, load of the machine before: 0.1\.", text)
    assert re.search(r"- Redis, memory: \S+, 100 tasks, rounds: 1, load of the machine before: 2.5\.", text)


def test_figures_of_another_machine_are_not_kept(tmp_path):
    path = tmp_path / "result.json"
    merge(path, {"redis": {"stop": {"stock": {"seconds": [3]}}}}, SETTINGS)
    other = {**read(path), "machine": {"cores": 999}}
    path.write_text(json.dumps(other))

    assert list(merge(path, FOUND, SETTINGS)["figures"]["redis"]) == ["drain"]


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "result.json"
    path.write_text("{}")
    with pytest.raises(BenchError, match="no result of"):
        read(path)


def test_the_committed_page_is_the_one_of_the_committed_figures():
    result = read(PAGE.with_suffix("") / "result.json")

    assert render(PAGE.read_text(), PAGE.stem, result) == PAGE.read_text()


def test_the_page_shows_no_plot_that_is_missing():
    figures = read(PAGE.with_suffix("") / "result.json")["figures"]
    names = [name for name, _ in pictures(figures)]

    assert names and all((PAGE.with_suffix("") / f"{name}.svg").stat().st_size for name in names)
