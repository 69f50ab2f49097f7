import subprocess
import sys
from pathlib import Path

import pytest

from app.smoke.__main__ import main
from app.smoke.pictures import fitted
from app.smoke.quick import find_mail
from tests.unit.standins.fake_stack import FakeStack, good_answers, jpeg, variant

ROOT = Path(__file__).parents[3]
SIZE = (400, 300)
THUMBNAILS = {64: (64, 48), 256: (256, 192), 1024: SIZE}


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(jpeg(*SIZE, exif=True))
    return path


@pytest.fixture
def answers(photo):
    return good_answers(photo.read_bytes(), SIZE, THUMBNAILS)


@pytest.fixture
def smoke(answers, photo, capsys):
    """Runs the smoke test against the answers; returns its exit code, its output and its complaints."""

    def run(timeout=5.0):
        with FakeStack(answers) as stack:
            url, seconds = stack.url, str(timeout)
            code = main(["--api", url, "--mail", url, "--photo", str(photo), "--timeout", seconds])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_a_stack_that_keeps_its_promises_passes(smoke):
    code, out, err = smoke()
    assert (code, err) == (0, "")
    steps = [line.split()[0] for line in out.splitlines()]
    assert steps == ["upload", "task", "variants", "mail", "ledger", "passed"]
    assert "64x48, 256x192, 400x300" in out and "lost 0, doubled 0" in out


@pytest.mark.parametrize(("shape", "code"), [((200, 150), 0), ((200, 200), 1), ((800, 600), 1)])
def test_the_compressed_picture_may_be_smaller_but_not_larger_or_of_another_shape(smoke, answers, shape, code):
    answers["GET /images/7"]["compressed"], answers["GET /images/7/compressed"] = variant(
        "/images/7/compressed", *shape
    )
    result, _, err = smoke()
    assert result == code
    assert ("compressed is" in err) == bool(code)


def test_progress_is_printed_once_per_change(smoke, answers):
    def state(name, percent):
        return {"id": "t", "state": name, "progress": {"percent": percent, "step": "thumbnails"}}

    looks = iter([state("PROGRESS", 25), state("PROGRESS", 25), state("PROGRESS", 75), state("SUCCESS", 100)])
    answers["GET /tasks/t"] = lambda: next(looks)
    _, out, _ = smoke()
    assert out.count("task ") == 3 and "PROGRESS thumbnails 25 %" in out


def test_it_waits_for_the_api_and_for_its_broker(smoke, answers):
    health = iter([(503, {}), (200, {"status": "ok"})])
    accepted = answers["POST /images"]
    uploads = iter([(503, {"error": "the broker is away"}), accepted])
    answers["GET /healthz"] = lambda: next(health)
    answers["POST /images"] = lambda: next(uploads)
    code, out, _ = smoke()
    assert code == 0
    assert out.count("waiting") == 2 and "the broker is away" in out


def test_the_ledger_is_skipped_with_a_word_when_faults_are_off(smoke, answers):
    del answers["POST /faults/count"]
    code, out, _ = smoke()
    assert code == 0 and "skipped: this stack runs with FAULTS=off" in out


def broken(key, value):
    return lambda answers: answers.__setitem__(key, value)


def wrong_thumbnail(longest, width, height, exif=False):
    def change(answers):
        url = f"/images/7/thumbnails/{longest}"
        entry, answers[f"GET {url}"] = variant(url, width, height, exif)
        listed = answers["GET /images/7"]["thumbnails"]
        listed[[t["size"] for t in listed].index(longest)] = {"size": longest, **entry}

    return change


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (broken("POST /images", (415, {"error": "not an image"})), "expected status 202, got 415"),
        (broken("POST /images", (202, {"image_id": 7})), "lacks 'image'"),
        (broken("POST /images", (202, b"hello")), "expected JSON"),
        (broken("GET /tasks/t", {"state": "FAILURE", "error": "no pixels"}), "FAILURE: no pixels"),
        (broken("GET /tasks/t", (500, {"error": "oops"})), "got 500"),
        (broken("GET /tasks/t", b"<html>"), "expected JSON"),
        (broken("GET /tasks/t", []), "lacks 'state'"),
        (broken("GET /images/7", {"state": "failed", "error": "no pixels"}), "'failed' (no pixels)"),
        (broken("GET /images/7/thumbnails/64", b"no picture"), "thumbnail 64 is no picture"),
        (broken("GET /images/7/thumbnails/64", (404, {})), "got 404"),
        (lambda a: a["GET /images/7"]["thumbnails"].pop(), "the thumbnails are [64, 256]"),
        (lambda a: a["GET /images/7"]["original"].update(width=1), "original.width is 1, expected 400"),
        (lambda a: a["GET /images/7"]["compressed"].update(bytes=1), "compressed is listed as"),
        (wrong_thumbnail(64, 64, 64), "thumbnail 64 is 64x64, expected 64x48"),
        (wrong_thumbnail(1024, 1024, 768), "thumbnail 1024 is 1024x768, expected 400x300"),
        (wrong_thumbnail(256, 256, 192, exif=True), "thumbnail 256 still carries EXIF"),
        (
            broken("GET /faults/ledger/b", {"ended": 20, "lost": 1, "doubled": 0}),
            "expected lost 0, doubled 0",
        ),
        (
            broken("GET /faults/ledger/b", {"ended": 21, "lost": 0, "doubled": 1}),
            "expected lost 0, doubled 0",
        ),
        (broken("POST /faults/count", (503, {"error": "away"})), "expected status 202, got 503"),
    ],
)
def test_a_broken_promise_is_named(smoke, answers, change, complaint):
    change(answers)
    code, _, err = smoke()
    assert code == 1
    assert err.startswith("FAILED ") and complaint in err


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("GET /api/messages", [], "the mail about the picture did not come within 1 s"),
        ("GET /tasks/t", {"state": "PENDING"}, "the end of /tasks/t did not come"),
        ("GET /faults/ledger/b", {"ended": 19}, "the end of the counted tasks did not come"),
        ("GET /healthz", (500, {}), "an answer from http://127.0.0.1"),
    ],
)
def test_what_does_not_come_is_named_at_the_deadline(smoke, answers, key, value, complaint):
    answers[key] = value
    code, _, err = smoke(timeout=1)
    assert code == 1 and complaint in err


def test_no_stack_and_no_photo_are_clear_messages(tmp_path, capsys):
    assert main(["--api", "http://127.0.0.1:1", "--timeout", "0.1"]) == 1
    assert "an answer from http://127.0.0.1:1 did not come" in capsys.readouterr().err
    assert main(["--photo", str(tmp_path / "none.jpg")]) == 1  # before anything is asked of a stack
    assert "none.jpg" in capsys.readouterr().err
    (tmp_path / "text.jpg").write_text("hello")
    assert main(["--photo", str(tmp_path / "text.jpg")]) == 1
    assert "text.jpg is no picture" in capsys.readouterr().err


def test_a_mail_about_another_picture_does_not_count():
    mails = [
        {"subject": "Picture 77 is ready", "text": "/images/17"},
        {"subject": "", "text": "See /images/7."},
    ]
    assert find_mail(mails, 7) == mails[1]
    assert find_mail(mails[:1], 7) is None
    assert find_mail([{"subject": None, "text": "a-7"}], "7") is None


@pytest.mark.parametrize(
    ("size", "longest", "expected"),
    [
        ((1000, 872), 64, (64, 56)),
        ((1000, 872), 1024, (1000, 872)),
        ((3, 9000), 64, (1, 64)),
        ((50, 60), 64, (50, 60)),
    ],
)
def test_a_thumbnail_fits_and_is_never_upscaled(size, longest, expected):
    assert fitted(size, longest) == expected


def test_it_runs_as_a_command_and_explains_itself():
    command = [sys.executable, "-m", "app.smoke", "--help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert "--photo" in shown.stdout
