# SPDX-License-Identifier: MIT OR Apache-2.0
"""Proxies: what it takes to pass on what a client and a server say. c-examples/proxy.c beside one by hand and socat."""

import re
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass

from . import build, measure
from .scenarios import Scenario
from .text import spread, table

REFERENCE = "epoll"
WINDOWS = 5
# A child for each connection: their time counts, too. What socat reads at once is as much as the others.
SOCAT = ["socat", "-d", "-d", "-b", str(256 * 1024)]

SCENARIOS = [
    Scenario("stream-1", "a stream to a sink, 1 connection", "sink", "stream-in --connections 1", "MiB"),
    Scenario("stream-4", "a stream to a sink, 4 connections", "sink", "stream-in --connections 4", "MiB"),
    Scenario("stream-out-4", "a stream from a source, 4 connections", "source", "stream-out --connections 4", "MiB"),
    Scenario("echo-1", "echo, 1 connection × 64 B", "echo", "echo --connections 1 --size 64"),
    Scenario("echo-64", "echo, 64 connections × 64 B", "echo", "echo --connections 64 --size 64"),
    Scenario("echo-64x16", "echo, 64 connections × 64 B, 16 under way", "echo", "echo --connections 64 --size 64 --depth 16"),
]


@dataclass(frozen=True)
class Proxy:
    name: str
    backend: build.Server  # what it stands in front of
    command: tuple  # without its ports


def prepared():
    """The proxies that can be had here, and the directory of all programs."""
    build.install(["epoll"], {"socat": "socat"})
    servers, programs = build.build(["epoll"])
    libraries = build.library()
    build.compile_program(build.BENCHES / "peers/epoll_proxy.c", programs / "epoll_proxy", libraries)
    build.compile_program(build.ROOT / "c-examples/proxy.c", programs / "proxy", libraries, "-lserver_socket")
    found = [Proxy(REFERENCE, servers["epoll"], (programs / "epoll_proxy",)), Proxy("ours", servers["epoll"], (programs / "proxy",))]
    if shutil.which("socat"):
        found.append(Proxy("socat", servers["epoll"], tuple(SOCAT)))
    return found, programs


@contextmanager
def _socat(proxy, port):
    """socat, and the port that it has chosen. It says it in its log."""
    with tempfile.NamedTemporaryFile("r") as log:
        ends = ["TCP4-LISTEN:0,bind=127.0.0.1,fork,nodelay,backlog=4096", f"TCP4:127.0.0.1:{port},nodelay"]
        process = subprocess.Popen([*proxy.command, "-lf", log.name, *ends], preexec_fn=measure.pinned((measure.SERVER_CORE,)))
        try:
            end, said = time.monotonic() + measure.DEADLINE, None
            while not said:
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError("socat does not start")
                time.sleep(0.01)
                log.seek(0)
                said = re.search(r"listening on .*:(\d+)", log.read())
            yield process, int(said[1])
        finally:
            measure.stop(process)


@contextmanager
def _started(proxy, mode):
    """A proxy on the servers' core, and its port. What it stands in front of is on the load's core."""
    with measure.running(proxy.backend, mode, cores=(measure.LOAD_CORE,)) as (_, port):
        if proxy.name == "socat":
            with _socat(proxy, port) as started:
                yield started
            return
        command = [str(part) for part in (*proxy.command, 0, "127.0.0.1", port)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True,
                                   preexec_fn=measure.pinned((measure.SERVER_CORE,)))
        try:
            yield process, measure.listening_port(process)
        finally:
            measure.stop(process)
            process.stdout.close()


def measured(rounds, seconds, say):
    """{scenario: {proxy: [figures, ...]}}"""
    proxies, programs = prepared()
    found = {scenario.name: {proxy.name: [] for proxy in proxies} for scenario in SCENARIOS}
    for number in range(rounds):
        for scenario in SCENARIOS:
            load = Scenario(scenario.name, scenario.title, scenario.mode, f"{scenario.load} --children", scenario.unit)
            runs = measure.windows(programs, proxies, load, WINDOWS, seconds, seconds / 2, _started)
            for name, figures in runs.items():
                found[scenario.name][name] += figures
        say(f"proxies: round {number + 1} of {rounds}")
    return found


def _cost(scenario, run):
    """Seconds per GB, or microseconds per message."""
    return run["cpu"] * 1e9 / 2**20 / 1e6 if scenario.unit == "MiB" else run["cpu"]


def _rate(scenario, run):
    return run["gb"] if scenario.unit == "MiB" else run["rate"]


def _rows(found, unit, value, form):
    rows = []
    for scenario in SCENARIOS:
        runs = found.get(scenario.name, {})
        if scenario.unit == unit and runs:
            rows.append([scenario.title, *(spread([value(scenario, run) for run in of], form) for of in runs.values())])
    return rows


def report(found):
    """Lines of Markdown."""
    if not found:
        return []
    names = list(next(iter(found.values())))
    others = [name for name in names if name != REFERENCE]
    ratios = []
    for scenario in SCENARIOS:
        runs = found[scenario.name]
        pairs = ([mine["cpu"] / theirs["cpu"] for mine, theirs in zip(runs[name], runs[REFERENCE])] for name in others)
        ratios.append([scenario.title, *map(spread, pairs)])
    two, four = "{:.3f}".format, "{:,.1f}".format
    return [
        "## Proxies", "",
        "Between a load and a server, both on one core, stands a proxy on the other. Its processor time, that of its child processes "
        f"included; median of the ratios of {len(runs[REFERENCE])} turns (least–most), lower is better.", "",
        *table([f"× by hand ({REFERENCE})", *others], ratios),
        "Processor time and rate of streams:", "",
        *table(["seconds of CPU per GB", *names], _rows(found, "MiB", _cost, two)),
        *table(["GB/s", *names], _rows(found, "MiB", _rate, two)),
        "Of messages, each there and back through the proxy:", "",
        *table(["CPU µs per message", *names], _rows(found, "message", _cost, four)),
        *table(["messages/s", *names], _rows(found, "message", _rate, "{:,.0f}".format)),
    ]
