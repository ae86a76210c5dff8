"""Charts as inline SVG. Colours are classes of the style sheet, so that they follow its light and dark theme."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup

WIDTH, HEIGHT = 420, 250
LEFT, RIGHT, TOP, BOTTOM = 44, 8, 12, 40
# of markers: a circle, a square, a diamond and a triangle
OUTLINES = ("", "m-3.8-3.8h7.6v7.6h-7.6z", "m0-5.2l5.2 5.2-5.2 5.2-5.2-5.2z", "m0-5l5 8.6h-10z")
SWATCH = Markup('<svg class="swatch" viewBox="0 0 28 14" aria-hidden="true">{}</svg>')


class Interval(NamedTuple):
    """One row of a forest plot."""

    name: str
    value: float
    low: float
    high: float
    other: float | None = None  # a second number beside it, without an interval


@dataclass(frozen=True)
class Series:
    """One line of a chart."""

    name: str
    values: Sequence[float | None]  # by position; None is a gap
    limits: Sequence[tuple[float, float] | None] | None = None  # an interval around each value
    dashed: bool = False


def line_chart(
    name: str,
    title: str,
    description: str,
    positions: Sequence[str],
    series: Sequence[Series],
    axis: str = "iteration",
    shares: bool = True,
) -> Markup:
    """Numbers by position, with intervals; `shares` are in percent. Title and description are for screen readers."""
    shown = [value for line in series for value in line.values if value is not None]
    shown += [limit for line in series for pair in line.limits or () if pair for limit in pair]
    scale = _Scale(shown, shares)
    parts = [_horizontal_grid(scale)]
    step = (WIDTH - LEFT - RIGHT) / len(positions)
    every = math.ceil(len(positions) / 11)
    for number, label in enumerate(positions):
        if number % every == 0:
            parts.append(_text(LEFT + step * (number + 0.5), HEIGHT - BOTTOM + 17, label, "middle"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 5, axis, "middle", "quiet"))
    for number, line in enumerate(series):
        shift = (number - (len(series) - 1) / 2) * min(7, step / (len(series) + 1))
        x = [LEFT + step * (position + 0.5) + shift for position in range(len(positions))]
        parts.append(_line(line, number, x, scale))
    return _svg(name, title, description, parts)


def heat_map(
    name: str, title: str, description: str, names: Sequence[str], values: Sequence[Sequence[float | None]]
) -> Markup:
    """Shares by row and column, the darker the higher; None is left white. Rows have names, columns their numbers."""
    count = len(names)
    left, top = 132, 22
    cell = min((WIDTH - left - 2) / count, 28.0)
    parts = []
    for row, line in enumerate(values):
        y = top + cell * row
        if cell >= 7.5:
            parts.append(_text(left - 6, y + cell / 2 + 4, f"{_cut(names[row])} {row + 1}", "end"))
        for column, value in enumerate(line):
            shade = "none" if value is None else round(10 * value)
            words = "" if value is None else f"{names[row]}, {names[column]}: {value:.0%}"
            place = {"x": left + cell * column, "y": y, "width": cell - 0.6, "height": cell - 0.6}
            parts.append(_element("rect", f"cell c{shade}", place, Markup("<title>{}</title>").format(words)))
    every = math.ceil(16 / cell)
    for column in range(0, count, every):
        parts.append(_text(left + cell * (column + 0.5), top - 7, str(column + 1), "middle"))
    return _svg(name, title, description, parts, round(top + cell * count + 4))


def forest(name: str, title: str, description: str, rows: Sequence[Interval], whole: float) -> Markup:
    """A forest plot: a line for each share with its interval, and an upright line at that of the whole."""
    left, line, top, bottom = 132, 24, 8, 24
    height = top + line * len(rows) + bottom
    shown = [number for row in rows for number in (row.low, row.high, row.other) if number is not None]
    scale = _Scale([*shown, whole])

    def across(share: float) -> float:
        return left + (share - scale.low) / (scale.high - scale.low) * (WIDTH - left - 16)

    parts = []
    for tick in scale.ticks():
        x = _round(across(tick))
        parts.append(_element("line", "grid", {"x1": x, "y1": top, "x2": x, "y2": height - bottom}))
        parts.append(_text(x, height - 7, scale.words(tick), "middle"))
    at = {"x1": across(whole), "y1": top, "x2": across(whole), "y2": height - bottom}
    parts.append(_element("line", "line s0 dashed", at))
    for number, row in enumerate(rows):
        y = top + line * (number + 0.5)
        parts.append(_text(left - 8, y + 4, _cut(row.name, 18), "end"))
        if math.isfinite(row.low):
            low, high = _round(across(row.low)), _round(across(row.high))
            ends = f"M{low} {y}H{high}M{low} {_round(y - 3)}v6M{high} {_round(y - 3)}v6"
            parts.append(_element("path", "whisker s0", {"d": ends}))
        if row.other is not None:
            parts.append(_marker(across(row.other), y, 2))
        parts.append(_marker(across(row.value), y, 0))
    return _svg(name, title, description, parts, height)


def _cut(name: str, longest: int = 14) -> str:
    return name if len(name) <= longest else name[: longest - 1] + "…"


def histogram(name: str, title: str, description: str, stacks: Sequence[Sequence[int]]) -> Markup:
    """Counts of scores between 0 and 1 by series and bin; the first series is the lowest.

    Heights are square roots of counts, so that few still show.
    """
    height, bottom, left = 130, 20, 6
    totals = [sum(column) for column in zip(*stacks, strict=True)]
    top = max(totals) or 1
    unit, step = (height - bottom - TOP) / math.sqrt(top), (WIDTH - 2 * left) / len(totals)
    parts = [_horizontal("axis", left, WIDTH - left, height - bottom)]
    base = [float(height - bottom)] * len(totals)
    for number, counts in enumerate(stacks):
        for position, count in enumerate(counts):
            if count:
                tall = max(unit * math.sqrt(totals[position]) * count / totals[position], 0.75)
                base[position] -= tall
                x, y = left + step * position + 0.75, base[position]
                place = {"x": x, "y": y, "width": step - 1.5, "height": tall}
                parts.append(_element("rect", f"fill s{number}", place))
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        parts.append(_text(left + share * (WIDTH - 2 * left), height - 5, f"{share:.1f}", anchor))
    return _svg(name, title, description, parts, height)


def swatch(number: int, dashed: bool = False) -> Markup:
    """The mark of a series, for a legend."""
    line = _horizontal(f"line s{number}{' dashed' * dashed}", 1, 27, 7)
    return SWATCH.format(line + _marker(14.0, 7.0, number))


def marker(number: int) -> Markup:
    """The marker of a series alone, for a legend."""
    return SWATCH.format(_marker(14.0, 7.0, number))


def legend_of(series: Sequence[Series]) -> list[tuple[Markup, str]]:
    """Marks and names of the series of a chart."""
    return [(swatch(number, line.dashed), line.name) for number, line in enumerate(series)]


def block(number: int) -> Markup:
    """The mark of a histogram's series, for a legend."""
    return SWATCH.format(_element("rect", f"fill s{number}", {"x": 7, "y": 1, "width": 14, "height": 12, "rx": 2}))


class _Scale:
    """Values to heights, between two ticks around all of them."""

    def __init__(self, values: Sequence[float], shares: bool = True) -> None:
        span = max(values) - min(values)
        self.shares = shares
        self.step = 0.2 if span > 0.55 else 0.1 if span > 0.2 else 0.05
        if not shares:
            least = max(span, 1e-6) / 5  # at most six ticks, 1, 2 or 5 times a power of ten apart
            power = 10.0 ** math.floor(math.log10(least))
            self.step = next(times * power for times in (1, 2, 5, 10) if times * power >= least * (1 - 1e-9))
        self.first = math.floor(min(values) / self.step + 1e-9)
        self.last = max(math.ceil(max(values) / self.step - 1e-9), self.first + 2)
        if shares and self.last * self.step > 1 + 1e-9:
            self.first, self.last = self.first - 1, self.last - 1
        self.low, self.high = self.first * self.step, self.last * self.step

    def at(self, share: float) -> float:
        return HEIGHT - BOTTOM - (share - self.low) / (self.high - self.low) * (HEIGHT - BOTTOM - TOP)

    def ticks(self) -> list[float]:
        return [number * self.step for number in range(self.first, self.last + 1)]

    def words(self, tick: float) -> str:
        return f"{tick:.0%}" if self.shares else f"{round(tick, 9):,g}"


def _line(series: Series, number: int, x: Sequence[float], scale: _Scale) -> Markup:
    parts, path, pen = [], [], "M"
    for position, value in enumerate(series.values):
        if value is None:
            pen = "M"
            continue
        y = scale.at(value)
        path.append(f"{pen}{_round(x[position])} {_round(y)}")
        pen = "L"
        limits = series.limits[position] if series.limits else None
        if limits is not None:
            parts.append(_whisker(x[position], scale.at(limits[0]), scale.at(limits[1]), number))
        parts.append(_marker(x[position], y, number))
    dashed = " dashed" if series.dashed else ""
    return Markup("").join([_element("path", f"line s{number % 8}{dashed}", {"d": "".join(path)}), *parts])


def _whisker(x: float, low: float, high: float, number: int) -> Markup:
    x, low, high = _round(x), _round(low), _round(high)
    ends = f"M{x} {low}V{high}M{_round(x - 3)} {low}h6M{_round(x - 3)} {high}h6"
    return _element("path", f"whisker s{number % 8}", {"d": ends})


def _marker(x: float, y: float, number: int) -> Markup:
    outline, kind = OUTLINES[number % len(OUTLINES)], f"mark s{number % 8}"
    if not outline:
        return _element("circle", kind, {"cx": x, "cy": y, "r": 4.2})
    return _element("path", kind, {"d": f"M{_round(x)} {_round(y)}{outline}"})


def _horizontal_grid(scale: _Scale) -> Markup:
    parts = []
    for tick in scale.ticks():
        y = _round(scale.at(tick))
        parts.append(_horizontal("grid", LEFT, WIDTH - RIGHT, y))
        parts.append(_text(LEFT - 6, y + 4, scale.words(tick), "end"))
    return Markup("").join(parts)


def _element(tag: str, kind: str, attributes: Mapping[str, float | str], content: Markup | None = None) -> Markup:
    """An element of a class; numbers are rounded."""
    values = {"class": kind, **attributes}
    rounded = {name: value if isinstance(value, (int, str)) else _round(value) for name, value in values.items()}
    start = Markup("<{}{}").format(tag, Markup("").join(Markup(' {}="{}"').format(*item) for item in rounded.items()))
    return start + (Markup("/>") if content is None else Markup(">{}</{}>").format(content, tag))


def _horizontal(kind: str, start: float, end: float, y: float) -> Markup:
    return _element("line", kind, {"x1": start, "y1": y, "x2": end, "y2": y})


def _text(x: float, y: float, words: str, anchor: str, kind: str = "") -> Markup:
    style = Markup(' class="{}"').format(kind) if kind else ""
    return Markup('<text x="{}" y="{}" text-anchor="{}"{}>{}</text>').format(_round(x), _round(y), anchor, style, words)


def _svg(name: str, title: str, description: str, parts: Sequence[Markup], height: int = HEIGHT) -> Markup:
    head = Markup('<svg viewBox="0 0 {} {}" role="img" aria-labelledby="{}-t {}-d">').format(WIDTH, height, name, name)
    words = Markup('<title id="{}-t">{}</title><desc id="{}-d">{}</desc>').format(name, title, name, description)
    return Markup("").join([head, words, *parts, Markup("</svg>")])


def _round(value: float) -> float:
    return round(float(value), 1)
