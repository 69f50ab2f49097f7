"""The page at `/` as people use it: in Chromium, with a mouse, with a keyboard alone, without scripts."""

from __future__ import annotations

import io
import os
import re
import uuid
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect

from tests import browser
from tests.integration.processes import PHOTO

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=document.title='owned'>\u202e\u0301' OR 1=1;--"
SIZES = {"wide": {"width": 1280, "height": 900}, "narrow": {"width": 360, "height": 740}}
chromium = browser.chromium
on_one = pytest.mark.parametrize("broker", ["redis"], indirect=True)


@pytest.fixture
def visit(chromium, service):
    """visit(**options): the page in a browser of its own; whatever it complains about fails the test."""
    contexts, complaints = [], []

    def open_page(**options):
        context = chromium.new_context(base_url=str(service.api.base_url), **options)
        context.set_default_timeout(browser.WAIT)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: message.type in ("error", "warning") and complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto("/")
        return page

    open_page.complaints = complaints
    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def shot(page, name):
    """Keep a picture of the page where SCREENSHOTS says, for whoever wants to look at it."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def noise(side):
    """A picture that takes a second to work on."""
    out = io.BytesIO()
    Image.effect_noise((side, side), 90).save(out, "JPEG", quality=90)
    return out.getvalue()


def assert_accessible(page):
    report = Axe().run(page)
    assert report.violations_count == 0, report.generate_report()


def upload(page, picture=PHOTO):
    page.get_by_label("Picture", exact=True).set_input_files(picture)
    page.get_by_role("button", name="Upload").click()


def write(page, body, name="Ada", email="ada@example.org"):
    page.get_by_label("Your e-mail").fill(email)
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Post", exact=True).fill(body)
    page.get_by_role("button", name="Publish").click()


def test_an_upload_is_clicked_through_and_watched_to_its_end(service, visit):
    page = visit()
    upload(page)
    page.wait_for_url("**/#activity")

    item = page.locator(".items li").first
    expect(item.locator(".words")).to_have_text("ready")
    expect(item.get_by_role("img")).to_be_visible()
    assert item.get_by_role("img").evaluate("image => image.naturalWidth") == 256
    expect(page.get_by_role("status")).to_contain_text("ready")
    picture = service.api.get(item.get_by_role("link").get_attribute("href")).json()
    assert picture["state"] == "ready" and len(picture["thumbnails"]) == 3


@on_one
def test_progress_is_shown_and_told_while_the_task_runs(service, visit):
    service.stop("worker-media")
    page = visit()
    upload(page, {"name": "noise.jpg", "mimeType": "image/jpeg", "buffer": noise(3000)})
    item = page.locator(".items li").first
    expect(item.locator(".words")).to_have_text("waiting")
    page.evaluate(
        "() => { window.said = []; const node = document.getElementById('said');"
        "new MutationObserver(() => window.said.push(node.textContent)).observe(node, {childList: true}) }"
    )
    shot(page, "waiting")
    service.start_worker("media")

    expect(item.locator(".words")).to_have_text("ready")
    told = page.evaluate("window.said")
    assert told[-1].startswith("Your picture: ready")
    assert any("%" in text or "started" in text for text in told[:-1]), told


@on_one
def test_keyboard_alone_uploads_and_writes(visit):
    page = visit()
    page.on("filechooser", lambda chooser: chooser.set_files(PHOTO))  # of the system, which no page sees

    def tab_to(selector):
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                assert outline != "none", f"nobody sees the focus on {selector}"
                return
        raise AssertionError(f"Tab never reaches {selector}")

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()

    tab_to("#file")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Picture", exact=True)).to_have_value(re.compile(PHOTO.name))
    tab_to("form[action='/upload'] button")
    page.keyboard.press("Enter")
    page.wait_for_url("**/#activity")
    expect(page.locator(".items .words").first).to_have_text("ready")

    page.reload()
    for selector, text in (("#email", "key@example.org"), ("#name", "Keyboard"), ("#body", "Typed, not clicked")):
        tab_to(selector)
        page.keyboard.type(text)
    tab_to("form[action='/write'] button")
    page.keyboard.press("Enter")
    expect(page.get_by_role("article").first).to_contain_text("Typed, not clicked")


@on_one
def test_without_scripts_everything_can_be_posted_and_seen(visit):
    page = visit(java_script_enabled=False)
    upload(page)
    expect(page.locator(".items .words").first).to_have_text("ready")  # it reloads itself
    write(page, "Without scripts")
    expect(page.locator(".items .title").first).to_have_text("Without scripts")


@on_one
def test_what_is_wrong_is_told_at_its_field_and_what_was_typed_stays(visit):
    page = visit()
    page.evaluate("document.querySelectorAll('form').forEach(form => form.noValidate = true)")
    write(page, "A text worth keeping", name=" ", email="no address")
    expect(page).to_have_title(re.compile("^Error: "))
    expect(page.get_by_role("alert")).to_be_focused()
    told = "It is not an e-mail address like ada@example.org. Told when the post is published."
    expect(page.get_by_label("Your e-mail")).to_have_accessible_description(told)
    expect(page.get_by_label("Your name")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Post", exact=True)).to_have_value("A text worth keeping")
    assert_accessible(page)
    shot(page, "error")
    page.get_by_role("alert").get_by_role("link").first.click()
    expect(page.locator("#email")).to_be_focused()

    upload(page, {"name": "a.txt", "mimeType": "", "buffer": b"a text"})
    expect(page.get_by_role("alert")).to_contain_text("not a picture")
    assert len(visit.complaints) == 2 and all("422" in said or "415" in said for said in visit.complaints)
    visit.complaints.clear()  # Chromium notes each status of 4xx


@on_one
def test_what_people_write_stays_text(visit):
    page = visit()
    email = f"{uuid.uuid4().hex}@example.org"
    write(page, HOSTILE, name="<b>Robert'); DROP TABLE users;--</b>", email=email)
    post = page.get_by_role("article").first
    expect(post).to_contain_text(HOSTILE)
    expect(post.get_by_role("heading")).to_have_text("<b>Robert'); DROP TABLE users;--</b>")
    assert page.title() == "Celery Blueprint"
    assert page.locator("article img, article script, article b").count() == 0


@on_one
@pytest.mark.parametrize(("scheme", "size"), [("light", "wide"), ("dark", "narrow")])
def test_it_is_accessible_in_light_and_dark_and_fits_every_width(visit, scheme, size):
    page = visit(color_scheme=scheme, viewport=SIZES[size])
    upload(page)
    expect(page.locator(".items .words").first).to_have_text("ready")
    write(page, "The engine weaves algebraic patterns. " * 8 + "w" * 200)
    expect(page.get_by_role("article").first).to_be_visible()
    for path in ("/", "/docs"):
        page.goto(path)
        assert_accessible(page)
        shot(page, f"{path.strip('/') or 'page'}-{scheme}-{size}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} scrolls sideways"


@on_one
def test_no_inline_script_runs_even_if_escaping_had_a_hole(visit):
    page = visit()
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"document.title=1\">')")
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'document.title=2'}))")
    page.wait_for_load_state("networkidle")
    assert page.title() == "Celery Blueprint"
    assert visit.complaints and any("Content Security Policy" in said for said in visit.complaints)
    visit.complaints.clear()


@on_one
def test_another_sites_page_can_send_nothing(visit, chromium, service):
    page = chromium.new_page()
    page.route("http://elsewhere.example/", lambda route: route.fulfill(
        content_type="text/html",
        body=f"<form method=post action='{service.api.base_url}/write'><input name=body value=forged><button>Go"
    ))  # fmt: skip
    page.goto("http://elsewhere.example/")
    with page.expect_response(lambda answer: answer.request.method == "POST") as answered:
        page.get_by_role("button").click()
    assert answered.value.status == 403
    page.close()
