# SPDX-License-Identifier: MIT OR Apache-2.0
"""TLS: handshakes, bytes, and memory of idle connections. Ours beside a server of rustls alone, the limit, and libevent over OpenSSL."""

import os
import subprocess
import time
from pathlib import Path
from statistics import median

from . import build, measure
from .scenarios import Scenario
from .text import number, spread, table

REFERENCE = "rustls"
WINDOWS = 5
IDLE = 1_000

SCENARIOS = [
    Scenario("handshake", "full handshake, one echo, close", "echo", "connect-echo --connections 16", "connection"),
    Scenario("resumed", "resumed handshake, one echo, close", "echo", "connect-echo --resume --connections 16", "connection"),
    Scenario("echo", "echo, 64 connections × 64 B", "echo", "echo --connections 64 --size 64"),
    Scenario("echo-x16", "echo, 64 connections × 64 B, 16 under way", "echo", "echo --connections 64 --size 64 --depth 16"),
    Scenario("in-1", "stream into a sink, 1 connection", "sink", "stream-in --connections 1", "MiB"),
    Scenario("in-64", "stream into a sink, 64 connections", "sink", "stream-in --connections 64", "MiB"),
    Scenario("out-1", "stream out of a source, 1 connection", "source", "stream-out --connections 1", "MiB"),
    Scenario("out-64", "stream out of a source, 64 connections", "source", "stream-out --connections 64", "MiB"),
]


def _certificate(directory):
    """One that a server shows here, of a key on P-256, as most have; named to the servers by the environment."""
    directory.mkdir(parents=True, exist_ok=True)
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    build.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out",
              certificate, "-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", stderr=subprocess.DEVNULL)
    os.environ.update(BENCH_CERTIFICATE=str(certificate), BENCH_KEY=str(key))


def _rustls(programs):
    folder = programs / "rustls"
    build.run("cargo", "build", "--release", "--quiet", "--locked", "--target-dir", folder, cwd=build.BENCHES / "peers/rustls")
    return folder / "release/bench_rustls"


def _is_supported(server):
    """Whether the library has TLS; without it the server does not start."""
    try:
        with measure.running(server, "echo"):
            return True
    except RuntimeError:
        return False


def prepared():
    """The servers that can be had here, and the directory of all programs."""
    build.install(["libevent"], {"openssl": "openssl"}, {"openssl/ssl.h": "libssl-dev"})
    libraries = build.library()
    programs = build.target_directory() / "benches"
    programs.mkdir(parents=True, exist_ok=True)
    _certificate(programs / "tls")
    tls, crypto = "-DBENCH_TLS", ["-lssl", "-lcrypto"]
    build.compile_program(build.BENCHES / "load.c", programs / "tls_load", libraries, tls, *crypto)
    servers = [build.Server(REFERENCE, _rustls(programs))]
    build.compile_program(build.BENCHES / "peers/ours.c", programs / "tls_ours", libraries, tls, "-lserver_socket")
    servers.append(build.Server("ours", programs / "tls_ours"))
    if Path("/usr/include/event2/bufferevent_ssl.h").exists():
        flags = ["-levent_core", "-levent_openssl", *crypto]
        build.compile_program(build.BENCHES / "peers/libevent.c", programs / "tls_libevent", libraries, tls, *flags)
        servers.append(build.Server("libevent", programs / "tls_libevent"))
    return [server for server in servers if _is_supported(server)], programs


def measured(rounds, seconds, say):
    """What was measured and counted, as report() takes it."""
    servers, programs = prepared()
    runs = {scenario.name: {server.name: [] for server in servers} for scenario in SCENARIOS}
    for count in range(rounds):
        for scenario in SCENARIOS:
            found = measure.windows(programs, servers, scenario, WINDOWS, seconds, seconds / 2, program="tls_load")
            for name, figures in found.items():
                runs[scenario.name][name] += figures
            cpu = ", ".join(f"{name} {median(run['cpu'] for run in figures):.2f}" for name, figures in found.items())
            say(f"TLS, round {count + 1} of {rounds}: {scenario.title}: CPU µs per {scenario.unit}: {cpu}")
    memory = {server.name: [measure.idle_memory(programs, server, IDLE, "tls_load") for _ in range(3)] for server in servers}
    ours = next((server for server in servers if server.name == "ours"), None)
    beside = [_beside_handshakes(programs, ours, 1) for _ in range(3)] if ours else []
    return {"runs": runs, "memory": memory, "beside": beside}


def _beside_handshakes(programs, server, seconds):
    """p50 and p99 in µs of a plain echo on the loop of a secure server: alone, and while 1,000 handshakes are under way all the time.

    Both loads have one core, so that of the handshakes gives way.
    """
    found = {}
    with measure.running(server, "echo") as (process, port):
        plain = measure.listening_port(process)
        arguments = f"echo --connections 64 --seconds {seconds}"
        with measure.Load(programs, arguments, plain) as load:
            alone = load.result()
        handshakes = f"connect-echo --connections {IDLE} --warmup 1 --seconds {seconds + 1}"
        with measure.Load(programs, handshakes, port, program="tls_load", wrapper=("nice", "-n", "19")) as secure:
            time.sleep(1)
            with measure.Load(programs, arguments, plain) as load:
                beside = load.result()
            found["handshakes a second"] = secure.result()["done"] / (seconds + 1)
    for name, result in (("alone", alone), ("beside handshakes", beside)):
        found[name] = {"p50": result["p50"], "p99": result["p99"]}
    return found


def _rows(found, value, form):
    return [[scenario.title, *(spread([value(scenario, run) for run in of], form) for of in found[scenario.name].values())]
            for scenario in SCENARIOS]


def _rate(scenario, run):
    return run["gb"] * 1000 if scenario.unit == "MiB" else run["rate"]


def _share(scenario, run):
    """What one core has time for: connections or messages a second, MB/s."""
    per_second = 1e6 / run["cpu"]
    return per_second * 2**20 / 1e6 if scenario.unit == "MiB" else per_second


def report(found):
    """Lines of Markdown."""
    if not found:
        return []
    runs, memory = found["runs"], found["memory"]
    names = list(memory)
    others = [name for name in names if name != REFERENCE and REFERENCE in names]
    ratios = []
    for scenario in SCENARIOS:
        of = runs[scenario.name]
        ratios.append([scenario.title, *(spread([mine["cpu"] / theirs["cpu"] for mine, theirs in zip(of[name], of[REFERENCE])])
                                         for name in others)])
    beside = [[name, *(spread([run[name][p] for run in found["beside"]], number) for p in ("p50", "p99"))]
              for name in ("alone", "beside handshakes") if found["beside"]]
    return [
        "## TLS", "",
        "TLS 1.3, AES-256-GCM, X25519, a certificate on P-256; the load is OpenSSL's, on a core of its own. The server's CPU per connection, "
        f"message or MiB; median of the ratios of {len(next(iter(runs[SCENARIOS[0].name].values())))} turns (least–most), lower is better.", "",
        *(table([f"× {REFERENCE} alone", *others], ratios) if others else []),
        "What a core has time for, by the server's CPU: connections or messages a second, MB/s of streams:", "",
        *table(["", *names], _rows(runs, _share, number)),
        "What came about, with a load that is often what limits:", "",
        *table(["", *names], _rows(runs, _rate, number)),
        *table(["", *names], [[f"resident bytes per idle connection ({IDLE:,} of them)",
                               *(f"{median(memory[name]):,.0f}" for name in names)]]),
        *([f"A plain echo on 64 connections of the same loop, alone and while {IDLE:,} clients shake hands, one connection after the "
           "other, and their core gives way to the echo's load:", "",
           *table(["µs", "p50", "p99"], beside)] if beside else []),
    ]
