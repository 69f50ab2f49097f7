"""Compares what the API says about a picture with the files that it serves."""

import io
from collections.abc import Callable
from typing import Any

from PIL import Image

from app.smoke.client import SmokeError, field

SIZES = (64, 256, 1024)  # longest side of each thumbnail, in pixels


def check_image(image: dict[str, Any], photo: bytes, get: Callable[[str], bytes]) -> str:
    """Compares what /images/{id} says with the picture sent and with its files; returns a summary."""
    if image.get("state") != "ready":
        raise SmokeError(f"the picture's state is {image.get('state')!r} ({image.get('error')}), expected 'ready'.")
    size = size_of("the picture", photo)
    listed = {"width": size[0], "height": size[1], "bytes": len(photo)}
    for key, value in listed.items():
        if field(image, "original").get(key) != value:
            raise SmokeError(f"original.{key} is {image['original'].get(key)}, expected {value}.")
    compressed = field(image, "compressed")  # may be smaller than the original, of the same shape
    _check_file(
        "compressed", compressed, fitted(size, max(field(compressed, "width"), field(compressed, "height"))), get
    )
    thumbnails = {field(t, "size"): t for t in field(image, "thumbnails")}
    if tuple(sorted(thumbnails)) != SIZES:
        raise SmokeError(f"the thumbnails are {sorted(thumbnails)}, expected {list(SIZES)}.")
    for longest, thumbnail in thumbnails.items():
        _check_file(f"thumbnail {longest}", thumbnail, fitted(size, longest), get)
    shown = ", ".join(f"{thumbnails[s]['width']}x{thumbnails[s]['height']}" for s in SIZES)
    return f"compressed to {compressed['bytes'] // 1024} KiB, thumbnails {shown}, no EXIF"


def size_of(name: str, data: bytes) -> tuple[int, int]:
    """Width and height. Raises SmokeError when the bytes are no picture."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return picture.size
    except OSError as error:
        raise SmokeError(f"{name} is no picture ({error}).") from None


def fitted(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """Width and height when the longest side is at most `longest` pixels; a smaller picture stays as it is."""
    scale = min(1.0, longest / max(size))
    width, height = (max(1, round(side * scale)) for side in size)
    return width, height


def _check_file(name: str, listed: dict[str, Any], size: tuple[int, int], get: Callable[[str], bytes]) -> None:
    data = get(field(listed, "url"))
    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
            real, exif = picture.size, dict(picture.getexif())
    except OSError as error:
        raise SmokeError(f"{name} is no picture ({error}).") from None
    if any(abs(a - b) > 1 for a, b in zip(real, size, strict=True)) or max(real) > max(size):
        raise SmokeError(f"{name} is {real[0]}x{real[1]}, expected {size[0]}x{size[1]}.")
    if (listed.get("width"), listed.get("height"), listed.get("bytes")) != (*real, len(data)):
        raise SmokeError(f"{name} is listed as {listed}, but is {real[0]}x{real[1]} with {len(data)} bytes.")
    if exif or b"Exif\0\0" in data:
        raise SmokeError(f"{name} still carries EXIF: {exif or 'an empty block'}.")
