# SPDX-License-Identifier: GPL-3.0-or-later
"""The few elements of SVG that our pictures are made of, as text. Lengths are pixels; the origin is top left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape, quoteattr

Point = tuple[float, float]

STYLE = """\
text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:#1f2328}
.title{font-size:16px;font-weight:600}.strong{font-weight:600}.small{font-size:11px;fill:#57606a}.middle{text-anchor:middle}
.end{text-anchor:end}.paper{fill:#fff}.line{fill:none;stroke-width:1.5;stroke-linejoin:round}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.small{fill:#9da7b3}.paper{fill:#0d1117}}
"""
"""What every picture looks like, in light and in dark mode."""


def element(name: str, *children: str, **attributes: float | str) -> str:
    """Returns an element.

    Args:
        name: its name.
        children: what is in it, as SVG.
        attributes: its attributes; ``_`` at the end of a name is left out, any other becomes ``-``.
    """
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}={quoteattr(value if isinstance(value, str) else number(value))}"
        for key, value in attributes.items()
    )
    inner = "".join(children)
    return f"<{name}{written}>{inner}</{name}>" if inner else f"<{name}{written}/>"


def number(value: float) -> str:
    """Returns a length with one digit after the point at most, the same on every machine."""
    return f"{value:.1f}".removesuffix(".0")


def text(at: Point, content: str, class_: str = "") -> str:
    """Returns a line of text that begins, or is centred, at a point of its baseline."""
    attributes = {"class_": class_} if class_ else {}
    return element("text", escape(content), x=at[0], y=at[1], **attributes)


def rectangle(at: Point, width: float, height: float, class_: str, *, radius: float = 6) -> str:
    """Returns a rectangle with round corners."""
    return element("rect", x=at[0], y=at[1], width=width, height=height, rx=radius, class_=class_)


def line(points: Sequence[Point], class_: str) -> str:
    """Returns a line through points."""
    path = " ".join(f"{number(x)},{number(y)}" for x, y in points)
    return element("polyline", points=path, class_=f"line {class_}")


def arrow_head(tip: Point, class_: str, *, up: bool = False) -> str:
    """Returns the head of an arrow that points to the right, or up."""
    x, y = tip
    corners = [(x, y), (x - 3.5, y + 7), (x + 3.5, y + 7)] if up else [(x, y), (x - 7, y - 3.5), (x - 7, y + 3.5)]
    path = " ".join(f"{number(a)},{number(b)}" for a, b in corners)
    return element("polygon", points=path, class_=f"head {class_}")


def document(size: tuple[float, float], title: str, about: str, style: str, body: Iterable[str]) -> str:
    """Returns a whole picture.

    Args:
        size: width and height.
        title: its name, for screen readers.
        about: its description, for screen readers.
        style: rules besides ``STYLE``.
        body: its elements, those at the back first.
    """
    width, height = size
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="title about" '
        f'viewBox="0 0 {number(width)} {number(height)}" width="{number(width)}" height="{number(height)}">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="about">{escape(about)}</desc>',
        f"<style>\n{STYLE}{style}</style>",
        rectangle((0, 0), width, height, "paper", radius=0),
        *body,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"
