"""The image pipeline, as its client sees it."""

from app.smoke.client import SmokeError
from app.smoke.pictures import check_image
from app.smoke.quick import fetch
from app.smoke.visit import Visit


def answered_at_once(visit: Visit) -> str:
    picture = visit.picture
    return f"{len(visit.photo) // 1024} KiB accepted after {picture.seconds * 1000:.0f} ms as {picture.task}"


def progress(visit: Visit) -> str:
    """Its worker may be faster than the looks at it; what is seen must not step back."""
    seen = [status["progress"]["percent"] for status in visit.picture.states if status["state"] == "PROGRESS"]
    if seen != sorted(seen):
        raise SmokeError(f"progress steps back: {seen}.")
    return ", ".join(f"{percent} %" for percent in seen) or "too fast to be seen"


def canvas(visit: Visit) -> str:
    image, failed = visit.picture.image, visit.damaged.image
    made = ["compressed"] * bool(image["compressed"]) + [f"thumbnail {each['size']}" for each in image["thumbnails"]]
    if len(made) != 4 or image["metadata"] is None:
        raise SmokeError(f"the chord's header left {made} and metadata {image['metadata']}, expected all five steps.")
    if failed["state"] != "failed" or not failed["error"]:
        raise SmokeError(f"the error callback left {failed['state']!r} ({failed['error']}), expected 'failed'.")
    return f"{', '.join(made)}, metadata, then the notice; its error callback noted: {failed['error']}"


def pipeline(visit: Visit) -> str:
    return check_image(visit.picture.image, visit.photo, lambda url: fetch(visit.stack, url))
