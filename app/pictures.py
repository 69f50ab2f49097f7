"""Pictures as bytes in and JPEG bytes out, with Pillow and without database, queue or file.

Uploads are hostile: a few kilobytes may unfold to gigabytes, decoders raise whatever they like, and EXIF tells where
its owner lives. So pixels are counted before they are decoded, decoders are limited to the formats of FORMATS, and
nothing of the original's metadata reaches what is derived from it.
"""

import struct
import zlib
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any

from PIL import Image, ImageCms

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP")
MAX_PIXELS = 50_000_000  # decoded as RGBA 200 MB: what one task of the media queue may hold
COMPRESSED_SIZE = 2048  # pixels of the longest side
QUALITY = 82  # above it a JPEG grows faster than it gets better

Image.MAX_IMAGE_PIXELS = None  # Pillow warns or raises by a limit of its own; identify() knows ours

# What Pillow's decoders have been seen to raise on damaged files, beside OSError.
DAMAGED = (
    OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, ArithmeticError,
    RuntimeError, struct.error, zlib.error,
)  # fmt: skip

# The values of EXIF's Orientation that need something done, and what.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
ORIENTATION, MAKE, MODEL, DATE_TIME, EXIF_IFD, DATE_TIME_ORIGINAL = 0x0112, 0x010F, 0x0110, 0x0132, 0x8769, 0x9003


class PictureError(ValueError):
    """The picture can't be used; the text says why, to its owner."""


class UnsupportedPictureError(PictureError):
    """Not a picture, or not in one of FORMATS."""


class PictureTooLargeError(PictureError):
    """More than MAX_PIXELS."""


@dataclass(frozen=True)
class Header:
    """What the first bytes of a picture say about it: size in pixels, one of FORMATS."""

    width: int
    height: int
    format: str


@dataclass(frozen=True)
class Derived:
    """A JPEG made from a picture, with its size in pixels."""

    data: bytes
    width: int
    height: int


def identify(data: bytes) -> Header:
    """Read the header alone, which is cheap. Raises UnsupportedPictureError, PictureTooLargeError."""
    picture = _open(data)
    return Header(picture.width, picture.height, _format(picture))


def validate(data: bytes) -> None:
    """Decode every pixel. Raises PictureError when the picture is damaged or cut off."""
    _decoded(_open(data))


def compress(data: bytes) -> Derived:
    """Return an upright JPEG of at most COMPRESSED_SIZE pixels, never larger than the original."""
    return thumbnail(data, COMPRESSED_SIZE)


def thumbnail(data: bytes, size: int) -> Derived:
    """Return an upright sRGB JPEG whose longest side is at most `size` pixels; smaller pictures keep their size."""
    picture = _open(data)
    try:
        turn = UPRIGHT.get(_orientation(picture))
        small = _smooth(picture)
        small.thumbnail((size, size), Image.Resampling.LANCZOS)
        small = _eight_bit(small, picture.mode) if small.mode == "F" else small
        small = _srgb(small, picture.info.get("icc_profile"))
        small = small.transpose(turn) if turn is not None else small
    except DAMAGED as error:
        raise _damaged(picture, error) from error
    return _jpeg(small)


def describe(data: bytes) -> dict[str, Any]:
    """Return width, height (upright), format, camera and taken_at (ISO 8601, local to the camera); never the place."""
    picture = _open(data)
    turned = _orientation(picture) >= 5
    width, height = (picture.height, picture.width) if turned else picture.size
    make, model, taken = _camera(picture)
    camera = model if model.startswith(make) else f"{make} {model}".strip()
    return {
        "width": width,
        "height": height,
        "format": _format(picture),
        "camera": camera or None,
        "taken_at": _iso(taken),
    }


def _open(data: bytes) -> Image.Image:
    try:
        picture = Image.open(BytesIO(data), formats=FORMATS)
    except DAMAGED:
        raise UnsupportedPictureError(
            f"the file is not a picture in a supported format ({', '.join(FORMATS)})"
        ) from None
    pixels = picture.width * picture.height
    if pixels > MAX_PIXELS:
        raise PictureTooLargeError(
            f"the picture has {picture.width} x {picture.height} pixels = {pixels / 1e6:.0f} megapixels, "
            f"more than the {MAX_PIXELS // 1_000_000} allowed"
        )
    return picture


def _format(picture: Image.Image) -> str:
    return "JPEG" if picture.format == "MPO" else str(picture.format)  # a camera's JPEG with a preview inside


def _decoded(picture: Image.Image) -> Image.Image:
    try:
        picture.load()
    except DAMAGED as error:
        raise _damaged(picture, error) from error
    return picture


def _damaged(picture: Image.Image, error: Exception) -> PictureError:
    return PictureError(f"the {_format(picture)} picture is damaged or cut off: {error}")


def _smooth(picture: Image.Image) -> Image.Image:
    """Return the picture in a mode that can be scaled; JPEGs stay undecoded until then, which saves most of it."""
    if picture.mode.startswith(("I", "F")):
        return picture.convert("F")
    if picture.mode in ("1", "P", "PA"):
        return picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    if picture.has_transparency_data and picture.mode in ("L", "RGB"):  # one colour is declared transparent
        return picture.convert("RGBA")
    return picture


def _eight_bit(channel: Image.Image, mode: str) -> Image.Image:
    """Bring numbers of 16 or 32 bits down to 8; converting them would cut off everything above 255."""
    low, high = (0.0, 65535.0) if mode.startswith("I;16") else _range(channel)
    return channel.point(lambda value: value * (255 / (high - low)) - low * 255 / (high - low)).convert("L")


def _range(channel: Image.Image) -> tuple[float, float]:
    low, high = channel.getextrema()
    if low >= 0 and high <= 65535 and high > 255:
        return 0.0, 65535.0  # 16 bits in a wider mode
    return (low, high) if high > low else (low, low + 1)


def _srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Return RGB on white in the colours of `profile`: browsers show a JPEG without a profile as sRGB."""
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture).convert("RGB")
    if profile and picture.mode in ("RGB", "CMYK", "L"):
        try:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            target = ImageCms.createProfile("sRGB")
            return ImageCms.profileToProfile(picture, source, target, outputMode="RGB") or picture.convert("RGB")
        except (ImageCms.PyCMSError, OSError):
            pass  # a broken profile, or one for another kind of colours: its numbers are taken as they are
    return picture.convert("RGB")


def _jpeg(picture: Image.Image) -> Derived:
    picture.info.clear()  # Pillow would copy the original's comment
    out = BytesIO()
    picture.save(out, "JPEG", quality=QUALITY, optimize=True, progressive=True)
    return Derived(out.getvalue(), picture.width, picture.height)


def _orientation(picture: Image.Image) -> int:
    value = _exif(picture).get(ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _camera(picture: Image.Image) -> tuple[str, str, str]:
    exif = _exif(picture)
    try:
        original = exif.get_ifd(EXIF_IFD).get(DATE_TIME_ORIGINAL)
    except DAMAGED:
        original = None
    taken = original or exif.get(DATE_TIME_ORIGINAL) or exif.get(DATE_TIME)  # some write it into the main block
    return _text(exif.get(MAKE)), _text(exif.get(MODEL)), _text(taken)


def _exif(picture: Image.Image) -> Image.Exif:
    try:
        return picture.getexif()
    except DAMAGED:
        return Image.Exif()  # a picture is worth keeping without it


def _text(value: object) -> str:
    """EXIF texts are padded with NULs and may hold anything; PostgreSQL stores no NUL."""
    return "".join(filter(str.isprintable, str(value or ""))).strip()[:100]


def _iso(taken: str) -> str | None:
    try:
        return datetime.strptime(taken, "%Y:%m:%d %H:%M:%S").isoformat()  # noqa: DTZ007 -- EXIF keeps no zone
    except ValueError:
        return None
