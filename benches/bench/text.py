# SPDX-License-Identifier: MIT OR Apache-2.0
"""Numbers and tables as text (Markdown)."""

from statistics import median


def number(value):
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def spread(values, form="{:.2f}".format):
    return f"{form(median(values))} ({form(min(values))}–{form(max(values))})"


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|---" + "|---:" * (len(header) - 1) + "|"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows] + [""]
