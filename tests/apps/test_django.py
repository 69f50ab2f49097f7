"""The Django example on the stack, as its users meet it: its page and Admin in Chromium, its schedule, its results."""

from __future__ import annotations

import json
import re
from itertools import pairwise

import pytest
from playwright.sync_api import expect

from tests import browser
from tests.apps import django_stack
from tests.apps.django_stack import logs_of, rabbitmq_is_slow
from tests.stack.stack import run, wait_for

chromium = browser.chromium
django = django_stack.django
EVERY = 3  # seconds
pytestmark = rabbitmq_is_slow


@pytest.fixture
def visit(chromium, django):
    """visit(path): a page of the stack in a browser of its own."""
    contexts = []

    def open_page(path="/"):
        context = chromium.new_context(base_url=django.url("API_PORT"), viewport={"width": 1400, "height": 1000})
        context.set_default_timeout(browser.WAIT)
        contexts.append(context)
        page = context.new_page()
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def admin(django, visit):
    """Admin's first page, logged in with the password that `make up` made."""
    page = visit("/admin/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(django.secret("django_admin_password"))
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Site administration")).to_be_visible()
    return page


def test_the_stack_is_this_apps_alone_and_says_where_its_password_is(django):
    services = set(django.containers())
    assert {"api", "beat", "worker-default", "worker-orders", "flower", "prometheus"} <= services
    assert not {"mail", "ai", "worker-media", "worker-email"} & services
    row = next(line for line in django.said.splitlines() if line.startswith("api "))
    assert re.search("healthy +admin, password in .*/django_admin_password$", row)
    assert "All 11 ended well." in django.said


def test_admin_is_styled_and_takes_no_default_password(django, visit):
    page = visit("/admin/")
    assert page.evaluate("getComputedStyle(document.querySelector('#header')).backgroundColor") != "rgba(0, 0, 0, 0)"
    for password in ("admin", "password", "django"):
        page.get_by_label("Username").fill("admin")
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Log in").click()
        expect(page.locator(".errornote")).to_be_visible()


def test_a_periodic_task_that_is_added_in_admin_runs_and_its_result_is_shown_there(django, admin):
    with logs_of(django):
        add_entry(admin, "sum", "samples.tasks.add", f"every {EVERY} seconds", [2, 3])
        django.wait_for_runs("sum", 2)

    admin.goto("/admin/django_celery_results/taskresult/?periodic_task_name=sum")
    admin.locator("#result_list tbody tr").filter(has_text="sum").first.locator("th a").click()
    expect(admin.locator(".field-result")).to_contain_text("5")
    expect(admin.locator(".field-status")).to_contain_text("SUCCESS")
    expect(admin.locator(".field-periodic_task_name")).to_contain_text("sum")


def test_a_task_is_sent_when_its_transaction_is_committed_and_never_when_it_is_not(django, visit):
    page = visit()
    order(page, quantity=100_000)
    expect(page.locator(".errorlist")).to_contain_text("less than 100000")
    order(page, quantity=2)
    expect(page.get_by_role("status")).to_contain_text("is placed")

    def confirmed():
        page.goto("/")
        return page.get_by_text("2 x Tea for ada@example.org, confirmed").count()

    with logs_of(django):
        wait_for("the confirmation", confirmed)
        assert wait_for("its result", lambda: django.results("orders.tasks.confirm")) == ["SUCCESS"]


@pytest.mark.slow
def test_a_beat_whose_database_restarts_goes_on(django, admin):
    add_entry(admin, "tide", "samples.tasks.add", f"every {EVERY} seconds", [1, 1])
    with logs_of(django):
        django.wait_for_runs("tide", 1)
        (beat,) = beats(django)
        django.compose("stop", "postgres")
        wait_for("a Beat that misses it", lambda: "Database gave error" in django.compose("logs", "beat").stdout)
        assert healthy(django, "live")
        django.compose("start", "postgres")
        wait_for("the database", lambda: django.compose("exec", "-T", "postgres", "pg_isready", "-q").returncode == 0)

        django.wait_for_runs("tide", 2)
        assert healthy(django, "ready", beat) and django.containers()["beat"]["RestartCount"] == 0


@pytest.mark.slow
def test_a_beat_that_is_restarted_killed_or_doubled_sends_each_run_once_and_on_time(django, admin):
    add_entry(admin, "metronome", "samples.tasks.add", f"every {EVERY} seconds", [1, 1])
    with logs_of(django):
        django.wait_for_runs("metronome", 2)
        django.compose("restart", "beat")  # it lets the lock go: the next one begins at once
        django.wait_for_runs("metronome", 3)
        assert_steady(django.runs("metronome"), longest=20)

        django.compose("kill", "beat")  # the lock ends half a minute later
        django.compose("start", "beat")
        wait_for("a Beat that waits for the lock and is alive", lambda: healthy(django, "live"))
        django.wait_for_runs("metronome", 3, timeout=90)
        assert_steady(django.runs("metronome"), longest=60)

        before = len(django.runs("metronome"))
        django.compose_files("up", "--detach", "--no-build", "--no-deps", "--no-recreate", "--scale", "beat=2", "beat")
        runs = django.wait_for_runs("metronome", 5)
        assert_steady(runs[before - 1 :], longest=2 * EVERY)
        assert len(beats(django)) == 2
        assert sorted(healthy(django, "ready", beat) for beat in beats(django)) == [False, True]


def order(page, quantity):
    page.get_by_label("Item").select_option("Tea")
    page.get_by_label("Quantity").fill(str(quantity))
    page.get_by_label("Email").fill("ada@example.org")
    page.get_by_role("button", name="Order").click()


def add_entry(page, name, task, interval, arguments):
    """Add a periodic task as one clicks it together."""
    page.goto("/admin/django_celery_beat/periodictask/add/")
    page.get_by_label("Name:").fill(name)
    page.locator("#id_regtask").select_option(task)
    if not page.locator("#id_interval option").filter(has_text=interval).count():
        with page.expect_popup() as popup:
            page.locator("#add_id_interval").click()
        popup.value.locator("#id_every").fill(str(EVERY))
        popup.value.locator("#id_period").select_option("seconds")
        popup.value.get_by_role("button", name="Save").click()
        expect(page.locator("#id_interval option:checked")).to_have_text(interval)
    page.locator("#id_interval").select_option(label=interval)
    page.locator("#id_args").evaluate("(field, text) => field.value = text", json.dumps(arguments))
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".messagelist .success")).to_contain_text(name)


def assert_steady(runs, longest):
    """No two runs much closer than the interval, and no gap above `longest`."""
    gaps = [later - earlier for earlier, later in pairwise(runs)]
    assert min(gaps) > EVERY / 2 and max(gaps) < longest, gaps


def beats(django):
    return django.compose("ps", "--quiet", "beat").stdout.split()


def healthy(django, what, container=None):
    """What the health command says, as the platform asks it."""
    container = container or beats(django)[0]
    return run(["docker", "exec", container, "celery-runtime", "health", what]).returncode == 0
