# SPDX-License-Identifier: MIT OR Apache-2.0
"""Two kinds of plots as SVG, written by hand, so that nothing has to be installed for them."""

from html import escape
from math import log10

COLOURS = ["#d1242f", "#0969da", "#54aeff", "#1a7f37", "#bf8700", "#8250df", "#57606a", "#cf7ab0"]
STYLE = """<style>text{font:12px system-ui,sans-serif;fill:#24292f}.title{font-size:15px;font-weight:600}
.small{font-size:11px;fill:#57606a}.grid{stroke:#d8dee4}.base{stroke:#57606a;stroke-dasharray:4 3}</style>"""


class _Picture:
    def __init__(self, width, height):
        self.parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
                      f'viewBox="0 0 {width} {height}">', STYLE, f'<rect width="{width}" height="{height}" fill="#fff"/>']

    def text(self, x, y, text, style="", anchor="start"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}">{escape(text)}</text>')

    def line(self, x1, y1, x2, y2, style="grid", colour=None, width=1):
        stroke = f'stroke="{colour}" stroke-width="{width}"' if colour else f'class="{style}"'
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {stroke}/>')

    def dot(self, x, y, colour, radius=4):
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"/>')

    def legend(self, x, y, names):
        for name, colour in zip(names, COLOURS):
            self.dot(x, y - 4, colour)
            self.text(x + 9, y, name)
            x += 28 + 7 * len(name)

    def __str__(self):
        return "\n".join([*self.parts, "</svg>", ""])


def _short(value):
    return f"{value:g}" if value < 1000 else f"{value:,.0f}"


def _scale(low, high, start, end):
    """From a value to a place on a logarithmic axis; what is too small for it stands at its beginning."""
    return lambda value: start + (log10(max(value, low)) - log10(low)) / (log10(high) - log10(low)) * (end - start)


def ratios(title, note, servers, rows):
    """rows: (name, {server: (least, lower quarter, median, upper quarter, most)}), on a logarithmic axis around 1."""
    band, left, width, top = 8 + 9 * len(servers), 300, 900, 74
    height = top + band * len(rows) + 44
    values = [max(value, 0.05) for _, row in rows for five in row.values() for value in five]
    ticks = [tick for tick in (0.25, 0.5, 0.7, 0.85, 1, 1.15, 1.5, 2, 3, 5, 8, 12, 20, 40)
             if min(*values, 0.8) * 0.9 <= tick <= max(*values, 1.25) * 1.1]
    place = _scale(min(*values, ticks[0]), max(*values, ticks[-1]), left + 10, width - 20)
    picture = _Picture(width, height)
    picture.text(16, 26, title, "title")
    picture.text(16, 44, note, "small")
    picture.legend(left + 10, 64, servers)
    for tick in ticks:
        x = place(tick)
        picture.line(x, top, x, height - 34, "base" if tick == 1 else "grid")
        picture.text(x, height - 16, f"{tick:g}", "small", "middle")
    for number, (name, row) in enumerate(rows):
        y = top + band * number
        picture.line(16, y, width - 16, y)
        picture.text(16, y + band / 2 + 4, name)
        for lane, (server, colour) in enumerate(zip(servers, COLOURS)):
            if server in row:
                least, lower, middle, upper, most = row[server]
                lane_y = y + 9 + 9 * lane
                picture.line(place(least), lane_y, place(most), lane_y, colour=colour)
                picture.line(place(lower), lane_y, place(upper), lane_y, colour=colour, width=4)
                picture.dot(place(middle), lane_y, colour)
    picture.line(16, height - 34, width - 16, height - 34)
    return str(picture)


def growth(title, x_title, y_title, lines):
    """lines: {name: [(x, y), ...]}; x on a logarithmic axis, y from 0."""
    left, right, top, bottom, width, height = 76, 32, 74, 300, 640, 348
    points = [point for line in lines.values() for point in line]
    across = _scale(min(x for x, _ in points), max(x for x, _ in points), left, width - right)
    most = max(y for _, y in points) * 1.15
    step = 10 ** int(f"{most:e}".partition("e")[2])
    step = next(s for s in (step / 5, step / 2, step, step * 2) if most / s <= 6)

    def up(value):
        return bottom - value / most * (bottom - top)

    picture = _Picture(width, height)
    picture.text(16, 26, title, "title")
    picture.text(16, 44, y_title, "small")
    picture.legend(left, 64, lines)
    for number in range(int(most / step) + 1):
        picture.line(left, up(number * step), width - right, up(number * step))
        picture.text(left - 8, up(number * step) + 4, _short(round(number * step, 9)), "small", "end")
    for x in sorted({x for x, _ in points}):
        picture.text(across(x), bottom + 18, _short(x), "small", "middle")
    picture.text((left + width - right) / 2, bottom + 38, x_title, "small", "middle")
    for line, colour in zip(lines.values(), COLOURS):
        for (x1, y1), (x2, y2) in zip(line, line[1:]):
            picture.line(across(x1), up(y1), across(x2), up(y2), colour=colour, width=2)
        for x, y in line:
            picture.dot(across(x), up(y), colour)
    return str(picture)
