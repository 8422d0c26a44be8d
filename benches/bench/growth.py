# SPDX-License-Identifier: MIT OR Apache-2.0
"""How costs grow with the number of connections: benches/run --growth."""

import json
from statistics import median

from . import measure, svg
from .scenarios import Scenario

WINDOWS = 3
STEPS = [10, 30, 100, 300, 1_000, 3_000, 10_000]
TURNS = {"idle": "idle connections", "pending": "sockets with pending output", "timeouts": "idle timeouts"}


def _echo(connections, idle):
    return Scenario("", "", "echo", f"echo --connections {connections} --idle {idle}")


def _turns(programs, server, mode, number):
    output = measure.captured([programs / "turns", mode, number], server)
    return json.loads(output)


def measured(programs, servers, rounds, seconds, say):
    """{plot: {line: {step: [value, ...]}}}"""
    found = {plot: {} for plot in ("idle", "active", "turns", "expiring")}

    def add(plot, line, step, value):
        found[plot].setdefault(line, {}).setdefault(step, []).append(value)

    ours = [server for server in servers if server.is_ours]
    for number in range(rounds):
        for step in STEPS:
            for plot, scenario in (("idle", _echo(64, step)), ("active", _echo(step, 0))):
                runs = measure.windows(programs, servers, scenario, WINDOWS, seconds, seconds / 2)
                for name, figures in runs.items():
                    for window in figures:
                        add(plot, name, step, window["cpu"])
            for server in ours:
                label = f", {server.name}" if len(ours) > 1 else ""
                for mode, name in TURNS.items():
                    add("turns", name + label, step, _turns(programs, server, mode, step)["p50"] / 1000)
                if step >= 100:  # fewer do not show above what a turn costs anyway
                    add("expiring", f"each{label}", step, _turns(programs, server, "expiring", step)["each"] / 1000)
            say(f"round {number + 1} of {rounds}: growth at {step:,}")
    return found


PLOTS = {
    "idle": ("CPU per message beside idle connections", "idle connections, beside 64 busy ones",
             "server CPU, µs per message of 64 B"),
    "active": ("CPU per message with many busy connections", "busy connections",
               "server CPU, µs per message of 64 B"),
    "turns": ("A turn that serves one message", "sockets that it does not serve", "µs, median"),
    "expiring": ("Idle timeouts that run out together", "timeouts",
                 "CPU, µs for each, its events and the closing of the socket included"),
}


def write(found, out):
    """A plot for each, and a table."""
    lines = ["# How costs grow", "", "Medians (least–most), in µs.", ""]
    for plot, (title, x_title, y_title) in PLOTS.items():
        curves = {line: [(step, median(values)) for step, values in steps.items()] for line, steps in found[plot].items()}
        (out / f"growth-{plot}.svg").write_text(svg.growth(title, x_title, y_title, curves))
        steps = list(next(iter(found[plot].values())))
        lines += [f"## {title}", "", f"{y_title}, by the number of {x_title}", ""]
        lines += ["| | " + " | ".join(f"{step:,}" for step in steps) + " |", "|---" + "|---:" * len(steps) + "|"]
        for line, values in found[plot].items():
            cells = (f"{median(v):.2f} ({min(v):.2f}–{max(v):.2f})" for v in values.values())
            lines.append(f"| {line} | " + " | ".join(cells) + " |")
        lines.append("")
    (out / "growth.md").write_text("\n".join(lines))
    (out / "growth.json").write_text(json.dumps(found, indent=1))
