"""The few shapes that the pictures are made of."""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape

INK, FAINT, GRID, PAPER = "#1f2328", "#656d76", "#d8dee4", "#ffffff"
LETTER = 5.9  # pixels that a letter of 11 px takes, on average


def text(
    x: float, y: float, words: str, *, size: int = 11, ink: str = INK, anchor: str = "start", bold: bool = False
) -> str:
    weight = ' font-weight="600"' if bold else ""
    place = f' text-anchor="{anchor}"' if anchor != "start" else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" fill="{ink}"{place}{weight}>{escape(words)}</text>'


def box(x: float, y: float, width: float, height: float, fill: str, *, stroke: str = "", radius: int = 0) -> str:
    edge = f' stroke="{stroke}"' if stroke else ""
    corner = f' rx="{radius}"' if radius else ""
    size = f'width="{max(width, 0):.0f}" height="{max(height, 0):.0f}"'
    return f'<rect x="{x:.0f}" y="{y:.0f}" {size} fill="{fill}"{edge}{corner}/>'


def line(points: Iterable[tuple[float, float]], ink: str, *, width: float = 1.5, dashed: bool = False) -> str:
    path = " ".join(f"{x:.0f},{y:.0f}" for x, y in points)
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    return f'<polyline points="{path}" fill="none" stroke="{ink}" stroke-width="{width}"{dash}/>'


def tiles(corners: Iterable[tuple[float, float]], width: float, height: float, fill: str) -> str:
    """Boxes of one size and colour, as one shape: a tenth of the bytes."""
    path = "".join(f"M{x:.0f} {y:.0f}h{width:.0f}v{height:.0f}h-{width:.0f}z" for x, y in corners)
    return f'<path d="{path}" fill="{fill}"/>'


def fitted(words: str, width: float, size: int = 11) -> str:
    """Cut to what fits into `width` pixels."""
    most = int(width / (LETTER * size / 11))
    return words if len(words) <= most else words[: max(most - 1, 1)] + "…"


def page(width: int, height: int, shapes: Iterable[str], title: str) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="system-ui, sans-serif" role="img"><title>{escape(title)}</title>'
    )
    return "\n".join([head, box(0, 0, width, height, PAPER), *shapes, "</svg>\n"])
