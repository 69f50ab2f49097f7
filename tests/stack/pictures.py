"""Pictures that people upload, and some that nobody should."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

PHOTO = (Path(__file__).parents[2] / "app" / "samples" / "photo.jpg").read_bytes()


def picture(width: int, height: int, kind: str, mode: str = "RGB") -> bytes:
    """A colourful picture in one of Pillow's formats, with a camera's name in its EXIF where the format has any."""
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    channels = [across, down, 255 - across, (across + down) / 2][: len(mode)]
    image = Image.fromarray(np.dstack(channels).astype(np.uint8).squeeze(), mode)
    exif = Image.Exif()
    exif[0x010F] = "Example Camera"
    out = io.BytesIO()
    image.save(out, kind, **({"exif": exif} if kind in {"JPEG", "PNG", "WEBP", "TIFF"} else {}))
    return out.getvalue()


def bomb(side: int) -> bytes:
    """A valid PNG of `side` x `side` pixels, black and white, of a few kilobytes."""
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    pixels = zlib.compress(bytes((1 + (side + 7) // 8) * side), 9)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
