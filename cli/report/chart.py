"""Plots as inline SVG. They are element trees, which escape all text; the page's style sheet colours their classes."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from xml.etree.ElementTree import Element, SubElement, tostring

from markupsafe import Markup

WIDTH = 640
TOP, RIGHT, BOTTOM = 34, 22, 46
CHARACTER = 7.2
"""Room for one character of an axis, in the units of the picture."""

SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Axis:
    """A range of values, linear or logarithmic, and the ticks on it."""

    label: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    log: bool = False

    def share(self, value: float) -> float:
        """How far along the axis a value is; values beyond an end are at the end."""
        value = min(max(value, self.low), self.high)
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def shares(label: str, low: float = 0.0) -> Axis:
    """From `low` to 100 %."""
    step = 0.2 if low < 0.4 else 0.1 if low < 0.8 else 0.05
    first = math.ceil(round(low / step, 6))
    ticks = tuple((n * step, f"{n * step:.0%}") for n in range(first, round(1 / step) + 1))
    return Axis(label, low, 1.0, ticks)


def linear(label: str, low: float, high: float, at_most: int = 6, *, room: bool = False, whole: bool = False) -> Axis:
    """Round ticks, at most so many steps: out to the ticks beyond the ends with `room`, integers if `whole`."""
    if not high > low:
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / at_most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    step = max(step, 1.0) if whole else step
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if room:
        low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    marks = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return Axis(label, low, high, tuple((n * step, f"{n * step:,.{decimals}f}".replace("-", "−")) for n in marks))


def logarithmic(label: str, low: float, high: float, *, whole: bool = False) -> Axis:
    """Ticks at powers of ten, at 2 and 5 times those where there are few, and as on a linear axis within one power."""
    if not high > low:
        low, high = low / 2, high * 2
    if high / low < 10:
        return replace(linear(label, low, high, whole=whole), log=True)
    factors = (1, 2, 5) if high / low < 2000 else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = [factor * 10.0**power for power in powers for factor in factors]
    ticks = tuple(
        (value, _power(value) if value < 1e-3 else f"{value:,.10g}") for value in values if low <= value <= high
    )
    return Axis(label, low, high, ticks, log=True)


class Chart:
    """A picture with two axes, on which marks are put in the order of the calls."""

    def __init__(self, title: str, x: Axis, y: Axis, height: int = 340, least_left: float = 0.0) -> None:
        self.x, self.y, self.height = x, y, height
        self.left = max(least_left, 14 + CHARACTER * max((len(label) for _, label in y.ticks), default=0))
        self.base = height - BOTTOM
        self._svg = canvas(title, height)
        for value, label in y.ticks:
            level = self._y(value)
            self._add("line", "grid", x1=self.left, x2=WIDTH - RIGHT, y1=level, y2=level)
            self.text((self.left - 8, level + 4), label, "tick end")
        for value, label in x.ticks:
            place = self._x(value)
            self._add("line", "axis", x1=place, x2=place, y1=self.base, y2=self.base + 4)
            self.text((place, self.base + 18), label, "tick middle")
        self._add("line", "axis", x1=self.left, x2=WIDTH - RIGHT, y1=self.base, y2=self.base)
        self.text(((self.left + WIDTH - RIGHT) / 2, height - 8), x.label, "label middle")
        self.text((6, 16), y.label, "label")

    def line(self, points: Sequence[Point], kind: str = "line") -> None:
        self._add("path", kind, d="M" + "L".join(self._at(*point) for point in points))

    def band(self, rows: Sequence[tuple[float, float, float]]) -> None:
        """(x, low, high) of each row."""
        edge = [(x, high) for x, _, high in rows] + [(x, low) for x, low, _ in reversed(rows)]
        self._add("path", "band", d="M" + "L".join(self._at(*point) for point in edge) + "Z")

    def whiskers(self, rows: Iterable[tuple[float, float, float]], kind: str = "whisker") -> None:
        """(x, low, high) of each row."""
        self._add("path", kind, d="".join(f"M{self._at(x, low)}V{_number(self._y(high))}" for x, low, high in rows))

    def dot(self, point: Point, title: str, kind: str = "dot", radius: float = 4.0) -> None:
        x, y = point
        dot = self._add("circle", kind, cx=self._x(x), cy=self._y(y), r=radius)
        SubElement(dot, "title").text = title

    def bar(self, low: float, high: float, value: float, label: str, title: str) -> None:
        left, right, top = self._x(low) + 1, self._x(high) - 1, self._y(value)
        bar = self._add("rect", "bar", x=left, y=top, width=max(right - left, 0.5), height=self.base - top)
        SubElement(bar, "title").text = title
        self.text(((left + right) / 2, top - 5), label, "count middle")

    def note(self, point: Point, text: str, kind: str = "note") -> None:
        self.text((self._x(point[0]), self._y(point[1])), text, kind)

    def text(self, place: Point, text: str, kind: str) -> None:
        self._add("text", kind, x=place[0], y=place[1]).text = text

    def markup(self) -> Markup:
        return markup(self._svg)

    def _add(self, tag: str, kind: str, **attributes: float | str) -> Element:
        return add(self._svg, tag, kind, **attributes)

    def _x(self, value: float) -> float:
        return self.left + self.x.share(value) * (WIDTH - RIGHT - self.left)

    def _y(self, value: float) -> float:
        return self.base - self.y.share(value) * (self.base - TOP)

    def _at(self, x: float, y: float) -> str:
        return f"{_number(self._x(x))} {_number(self._y(y))}"


def canvas(title: str, height: float) -> Element:
    """An empty picture, WIDTH wide."""
    return Element("svg", {"viewBox": f"0 0 {WIDTH} {_number(height)}", "role": "img", "aria-label": title})


def add(parent: Element, tag: str, kind: str, **attributes: float | str) -> Element:
    """A new element of class `kind`; numbers keep one decimal."""
    values = {name: each if isinstance(each, str) else _number(each) for name, each in attributes.items()}
    return SubElement(parent, tag, {"class": kind, **values})


def markup(svg: Element) -> Markup:
    return Markup(tostring(svg, encoding="unicode"))  # noqa: S704 - the element tree has escaped it


def _power(value: float) -> str:
    """A power of ten, or a multiple of one."""
    digit, exponent = f"{value:.0e}".split("e")
    power = "10" + str(int(exponent)).translate(SUPERSCRIPT)
    return power if digit == "1" else f"{digit}·{power}"


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
