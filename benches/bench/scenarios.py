# SPDX-License-Identifier: MIT OR Apache-2.0
"""What is measured, and what is asked of it."""

from dataclasses import dataclass

ACTIVE_AMONG = 8000


@dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    mode: str  # of the server
    load: str  # the load's arguments
    unit: str = "message"
    quick: bool = False  # part of a --quick run

    def options(self):
        """The load's options, by name."""
        words = self.load.split()[1:]
        return {name.removeprefix("--"): int(value) for name, value in zip(words[::2], words[1::2])}


def _echo(connections, size, **more):
    letter = {64: "64B", 512: "512B", 65536: "64K"}[size]
    words = {64: "64 B", 512: "512 B", 65536: "64 KiB"}[size]
    plural = "connection" if connections == 1 else "connections"
    return Scenario(
        f"echo-{connections}x{letter}",
        f"echo, {connections:,} {plural} × {words}",
        "echo",
        f"echo --connections {connections} --size {size}",
        **more,
    )


SCENARIOS = [
    _echo(1, 64, quick=True),
    _echo(64, 64, quick=True),
    Scenario("echo-64x64B-idle", f"echo, 64 connections × 64 B among {ACTIVE_AMONG:,} idle", "echo",
             f"echo --connections 64 --size 64 --idle {ACTIVE_AMONG}", quick=True),
    _echo(1000, 64),
    _echo(1, 512),
    _echo(64, 512),
    _echo(1000, 512, quick=True),
    _echo(1, 65536),
    _echo(64, 65536),
    _echo(1000, 65536),
    Scenario("echo-4x64K-x4", "echo, 4 connections × 64 KiB, 4 under way", "echo",
             "echo --connections 4 --size 65536 --depth 4", quick=True),
    Scenario("echo-64x64B-x16", "echo, 64 connections × 64 B, 16 under way", "echo",
             "echo --connections 64 --size 64 --depth 16", quick=True),
    Scenario("connect", "connect, close", "discard", "connect --connections 64", "connection", quick=True),
    Scenario("connect-echo", "connect, one echo, close", "echo", "connect-echo --connections 64", "connection", quick=True),
    Scenario("stream-in-1", "stream into a sink, 1 connection", "sink", "stream-in --connections 1", "MiB", quick=True),
    Scenario("stream-in-4", "stream into a sink, 4 connections", "sink", "stream-in --connections 4", "MiB", quick=True),
    Scenario("stream-out-1", "stream out of a source, 1 connection", "source", "stream-out --connections 1", "MiB"),
    Scenario("stream-out-4", "stream out of a source, 4 connections", "source", "stream-out --connections 4", "MiB"),
]
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


@dataclass(frozen=True)
class Target:
    """A bound on our library. See report.verdict for how each kind of it is computed."""

    title: str
    kind: str  # "cpu", "p50", "idle": of pairs of runs; "calls", "memory", "dispatch": counted
    subject: str  # a scenario, or what is counted
    limit: float | None = None  # None: as good as hand-written epoll


TARGETS = [
    Target("echo 4 connections × 64 KiB ×4, CPU per message", "cpu", "echo-4x64K-x4", 1.05),
    Target("echo 64 connections × 64 B, CPU per message", "cpu", "echo-64x64B", 1.03),
    Target("echo 1,000 connections × 512 B, CPU per message", "cpu", "echo-1000x512B", 1.03),
    Target("pipelined ×16 (64 × 64 B), CPU per message", "cpu", "echo-64x64B-x16", 1.05),
    Target("echo at 1 connection, p50", "p50", "echo-1x64B"),
    Target(f"64 active among {ACTIVE_AMONG:,} idle, CPU per message", "cpu", "echo-64x64B-idle", 1.03),
    Target("the same against our own without the idle ones", "idle", "echo-64x64B-idle", 1.05),
    Target("stream into a sink, 1 connection, CPU per MiB", "cpu", "stream-in-1", 1.05),
    Target("stream into a sink, 4 connections, CPU per MiB", "cpu", "stream-in-4", 1.05),
    Target("system calls per echoed message, 64 connections", "calls", "echo-64x64B", 2.05),
    Target("system calls per accepted and closed connection", "calls", "connect"),
    Target("system calls per connect + one echo + close", "calls", "connect-echo"),
    Target("resident bytes per idle connection with its two listeners", "memory", "memory", 128),
    Target("one listener call through ss_dispatch_event, of 1: ns", "dispatch", "1", 30),
    Target("one listener call through ss_dispatch_event, of 4: ns", "dispatch", "4", 30),
    Target("one listener call through ss_dispatch_event, of 32: ns", "dispatch", "32", 30),
]
