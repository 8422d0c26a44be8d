# SPDX-License-Identifier: MIT OR Apache-2.0
"""Turns what was measured into tables (Markdown) and a plot (SVG)."""

from statistics import median, quantiles

from . import proxies, svg, text, tls
from .scenarios import BY_NAME, SCENARIOS, TARGETS
from .text import number, spread

REFERENCE = "epoll"


def ratios(results, scenario, server, metric, base=None):
    """Its figure over the reference's of the same turn, for each turn."""
    runs, others = results["runs"][scenario][server], base or results["runs"][scenario][REFERENCE]
    return [mine[metric] / theirs[metric] for mine, theirs in zip(runs, others) if theirs[metric] > 0]


# ---- Targets ----


def verdict(results, target, server):
    """What was measured, as text, and whether it meets the target; None if it was not measured."""
    limit = target.limit
    if target.kind in ("cpu", "p50", "idle"):
        runs = results["runs"].get(target.subject, {})
        if target.kind == "idle":
            base = results["runs"].get("echo-64x64B", {}).get(server)
        else:
            base = runs.get(REFERENCE)
        if not base or server not in runs:
            return None
        pairs = ratios(results, target.subject, server, "p50" if target.kind == "p50" else "cpu", base)
        if target.kind == "p50":
            # Within noise: a quarter of the pairs or more is no worse than the reference.
            quarter = quantiles(pairs, n=4)[0] if len(pairs) > 1 else pairs[0]
            return spread(pairs) + " ×", quarter <= 1
        return spread(pairs) + " ×", median(pairs) <= limit
    if target.kind == "calls":
        counted = results["calls"].get(target.subject, {})
        if server not in counted or (limit is None and REFERENCE not in counted):
            return None
        total, theirs = sum(counted[server].values()), sum(counted.get(REFERENCE, {}).values())
        bound = theirs if limit is None else limit
        return f"{total:.3f} (epoll {theirs:.3f})", round(total, 2) <= round(bound, 2)
    if target.kind == "memory":
        values = results["memory"].get(server)
        return values and (f"{median(values):.0f}", median(values) <= limit)
    values = [times[target.subject] for times in results["dispatch"].get(server, [])]
    return values and (spread(values, "{:.1f}".format), median(values) <= limit)


def targets(results, servers):
    ours = [name for name in servers if name.partition(":")[0] == "ours"]
    rows = []
    for target in TARGETS:
        limit = f"≤ {target.limit:g}" if target.limit else "epoll's in the same run"
        row = [target.title, limit]
        for server in ours:
            found = verdict(results, target, server)
            row.append("–" if not found else f"{found[0]} **{'met' if found[1] else 'missed'}**")
        if any(cell != "–" for cell in row[2:]):
            rows.append(row)
    return ["## Targets", ""] + text.table(["", "target", *ours], rows) if rows and ours else []


# ---- Tables ----


def _ratio_table(results, servers, title, metric, note, reference=REFERENCE):
    others = [server for server in servers if server != reference]
    rows = []
    for scenario in SCENARIOS:
        runs = results["runs"].get(scenario.name)
        if not runs or reference not in runs or not any(run[metric] for run in runs[reference]):
            continue
        pairs = (ratios(results, scenario.name, server, metric, runs[reference]) for server in others)
        rows.append([scenario.title, *map(spread, pairs)])
    name = "hand-written epoll" if reference == REFERENCE else reference
    return [f"## {title}", "", note, ""] + text.table([f"× {name}", *others], rows) if rows and others else []


def builds(results):
    """Other builds of the library against the present one."""
    servers = [server for server in results["servers"] if server.startswith("ours:")]
    return _ratio_table(results, servers, "Other builds of the library: server CPU", "cpu",
                        "Against the present one in the same round; median (least–most).", "ours")


def haxe(results):
    """Haxe's classes against a loop around `sys.net.Socket.select`."""
    servers = [server for server in results["servers"] if server == "hxcpp"]
    return [line for metric, what in (("rate", "messages a second; more is better"), ("cpu", "processor time of a message; less is better"))
            for line in _ratio_table(results, servers, f"Haxe's classes against its select loop: {what.partition(';')[0]}", metric,
                                     f"Of pairs of the same turn; {what.partition('; ')[2]}; median (least–most).", "hxcpp-select")]


def _absolute(results, servers):
    lines = ["## As measured", "",
             "Medians (least–most). Absolute times say little on a shared machine; the ratios above are what counts.", ""]
    rows = []
    for scenario in SCENARIOS:
        for server in servers:
            runs = results["runs"].get(scenario.name, {}).get(server)
            if not runs:
                continue
            columns = {metric: [run[metric] for run in runs] for metric in runs[0]}
            latencies = [number(median(columns[p])) if any(columns[p]) else "–" for p in ("p50", "p99", "p999")]
            rows.append([scenario.title, server, f"{spread(columns['rate'], number)} {scenario.unit}s/s".replace("MiBs", "MiB"),
                         f"{median(columns['gb']):.2f}", spread(columns["cpu"], number), *latencies])
    header = ["", "server", "rate", "GB/s", "CPU µs per message, connection, MiB", "p50 µs", "p99 µs", "p99.9 µs"]
    return lines + text.table(header, rows) if rows else []


def _counted(results, servers):
    rows = []
    for name, counted in results["calls"].items():
        title = f"system calls per {BY_NAME[name].unit}: {BY_NAME[name].title}"
        rows.append([title, *(f"{sum(counted[s].values()):.2f}" if s in counted else "–" for s in servers)])
    for name, counted in results["instructions"].items():
        title = f"instructions in user space per {BY_NAME[name].unit}: {BY_NAME[name].title}"
        rows.append([title, *(f"{counted[s]:,.0f}" if s in counted else "–" for s in servers)])
    for function in ("ss_timer_set", "ss_timer_stop") if results["timers"] else ():
        title = f"instructions in user space of {function} among 100,000 timers"
        counted = {server: counts[function] for server, counts in results["timers"].items()}
        rows.append([title, *(f"{counted[s]:,.0f}" if s in counted else "–" for s in servers)])
    if results["memory"]:
        title = f"resident bytes per idle connection ({results['about']['idle connections']:,} of them)"
        rows.append([title, *(f"{median(results['memory'][s]):,.0f}" if s in results["memory"] else "–" for s in servers)])
    for listeners in ("1", "4", "32") if results["dispatch"] else ():
        title = f"ns per listener call through ss_dispatch_event, {listeners} listener{'s' if listeners != '1' else ''}"
        times = {s: [run[listeners] for run in results["dispatch"].get(s, [])] for s in servers}
        rows.append([title, *(f"{median(times[s]):.1f}" if times[s] else "–" for s in servers)])
    if not rows:
        return []
    lines = ["## Counted", ""] + text.table(["", *servers], rows)
    for name, counted in results["calls"].items():
        lines += [f"System calls of “{BY_NAME[name].title}”, by name:", ""]
        for server in (s for s in servers if s in counted):
            calls = sorted(counted[server].items(), key=lambda call: -call[1])
            lines.append(f"- {server}: " + ", ".join(f"{call} {number:.3f}" for call, number in calls))
        lines.append("")
    return lines


def _scaling(results):
    found = dict(results["scaling"])
    if not found:
        return []
    calls = found.pop("calls")
    rows = []
    for name, values in found.items():
        rates = [value["rate"] if isinstance(value, dict) else value for value in values]
        cpu = [value["cpu"] for value in values if isinstance(value, dict)]
        rows.append([name, spread(rates, number), spread(cpu) if cpu else "–"])
    named = ", ".join(f"{name} {number:.4f}" for name, number in sorted(calls.items(), key=lambda call: -call[1]))
    return [
        "## Many loops", "",
        "Threads and processes: each has a loop and is its own peers, or dispatches events, so that nothing else takes a "
        "core. Threads of one process could be in each other's way, processes could not.",
        "",
        "multicore_echo: one loop or two, each on a thread, and two loads; all of them share two cores, so that the rate "
        "cannot double. The CPU per message tells whether the loops are in each other's way.", "",
        *text.table(["", "messages or listener calls a second", "CPU µs per message"], rows),
        f"System calls per message with two loops: {named}. A lock that is contended would show as futex.", "",
    ]


def table(results):
    servers, about = results["servers"], results["about"]
    lines = ["# Measured by benches/run", "",
             "; ".join(f"{key}: {value}" for key, value in about.items()) + ".", ""]
    lines += targets(results, servers)
    lines += _ratio_table(results, servers, "Server CPU per message, connection or MiB", "cpu",
                          "Lower is better. Median of the turns' ratios (least–most).")
    lines += _ratio_table(results, servers, "Messages, connections or MiB a second", "rate",
                          "Higher is better. The load has one core and is often what limits.")
    lines += builds(results)
    for percentile, title in (("p50", "p50"), ("p99", "p99"), ("p999", "p99.9")):
        lines += _ratio_table(results, servers, f"Latency, {title}", percentile, "Lower is better.")
    lines += _counted(results, servers)
    lines += _scaling(results)
    lines += proxies.report(results["proxy"])
    lines += tls.report(results["tls"])
    lines += _absolute(results, servers)
    return "\n".join(lines)


def fivenumbers(values):
    """Least, lower quarter, median, upper quarter, most."""
    lower, middle, upper = quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return min(values), lower, middle, upper, max(values)


def plot(results):
    """CPU relative to hand-written epoll, of all scenarios; None if there is nothing to compare."""
    servers = [server for server in results["servers"] if server != REFERENCE]
    rows = []
    for scenario in SCENARIOS:
        runs = results["runs"].get(scenario.name, {})
        if REFERENCE in runs:
            values = {server: ratios(results, scenario.name, server, "cpu") for server in servers}
            rows.append((scenario.title, {s: fivenumbers(v) for s, v in values.items()}))
    if not rows or not servers:
        return None
    about = results["about"]
    note = (f"1 = a server written by hand with epoll, in the same turn; less is better. Of {about['turns']}: median, "
            "middle half (thick), least and most (thin).")
    return svg.ratios("The server's processor time per message, connection or MiB", note, servers, rows)
