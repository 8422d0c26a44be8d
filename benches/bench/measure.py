# SPDX-License-Identifier: MIT OR Apache-2.0
"""Runs a server and the load, each on a core of its own, and counts."""

import json
import os
import re
import signal
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager

DEADLINE = 60
CALLGRIND = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
TIMERS = 100_000
SERVER_CORE, LOAD_CORE = 0, 1
REST = 0.02  # seconds after which a server has read what the system still had for it


def pinned(cores):
    return lambda: os.sched_setaffinity(0, cores)


def stop(process, how=signal.SIGTERM):
    if process.poll() is None:
        process.send_signal(how)
    try:
        process.wait(DEADLINE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def listening_port(process):
    line = process.stdout.readline()
    if ":" not in line:
        raise RuntimeError(f"a server does not start: {process.args}")
    return int(line.rpartition(":")[2])


@contextmanager
def running(server, mode, wrapper=(), cores=(SERVER_CORE,), **more):
    """A server, and its port."""
    process = subprocess.Popen([*wrapper, str(server.program), mode], stdout=subprocess.PIPE, text=True,
                               env=server.environment(), preexec_fn=pinned(cores), **more)
    try:
        yield process, listening_port(process)
    finally:
        stop(process)
        process.stdout.close()


class Load:
    """A load; with --pause it is led by readiness() and go()."""

    def __init__(self, programs, arguments, port, pid=None, cores=(LOAD_CORE,), program="load", wrapper=()):
        command = [*wrapper, str(programs / program), *arguments.split(), "--port", str(port)]
        if pid is not None:
            command += ["--pid", str(pid)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        preexec_fn=pinned(cores))

    def line(self):
        line = self.process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"the load has failed: {' '.join(self.process.args)}")
        return line

    def expect(self, word):
        line = self.line()
        if line != word:
            raise RuntimeError(f"the load says {line!r}, not {word!r}")

    def go(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def result(self):
        return json.loads(self.line())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        stop(self.process)
        self.process.stdout.close()


def _figures(result, unit):
    """Units a second, the server's processor time per unit, latencies."""
    amount = result["bytes"] / 2**20 if unit == "MiB" else result["done"]
    if amount == 0:
        raise RuntimeError("nothing came about")
    return {
        "rate": amount / result["seconds"],
        "cpu": result["cpu_ns"] / 1000 / amount,
        "gb": result["bytes"] / result["seconds"] / 1e9,
        "p50": result["p50"],
        "p99": result["p99"],
        "p999": result["p999"],
    }


def windows(programs, servers, scenario, number, seconds, warmup, start=None, program="load"):
    """Starts all the servers, each with a load of its own, and lets them work in turn, a moment each, so many times.

    Only one pair works at a time. What a slow machine, or a neighbour on it, does for seconds meets all of them alike.
    start begins one of them instead of running(), program is the load. Returns what was measured, {server: [figures, ...]}.
    """
    start = start or running
    found = {server.name: [] for server in servers}
    with ExitStack() as stack:
        loads = []
        for server in servers:
            process, port = stack.enter_context(start(server, scenario.mode))
            arguments = f"{scenario.load} --seconds {seconds} --warmup {warmup} --windows"
            load = stack.enter_context(Load(programs, arguments, port, process.pid, program=program))
            load.expect("ready")
            loads.append((server.name, load))
        for _ in range(number):
            for name, load in loads:
                load.go()
                found[name].append(_figures(load.result(), scenario.unit))
                time.sleep(REST)
    return found


@contextmanager
def counting_calls(pid):
    """A function that returns the system calls of a process, by name, since this began; strace counts them."""
    with tempfile.NamedTemporaryFile("r") as output:
        strace = subprocess.Popen(["strace", "-f", "-c", "-U", "calls,name", "-o", output.name, "-p", str(pid)],
                                  stderr=subprocess.DEVNULL)
        try:
            end = time.monotonic() + DEADLINE
            while "TracerPid:\t0\n" in open(f"/proc/{pid}/status").read():
                if strace.poll() is not None or time.monotonic() > end:
                    raise RuntimeError("strace cannot be attached")
                time.sleep(0.01)

            def calls():
                stop(strace, signal.SIGINT)
                found = re.findall(r"^\s*(\d+)\s+(\w+)$", output.read(), re.MULTILINE)
                return {name: int(number) for number, name in found if name != "total"}

            yield calls
        finally:
            stop(strace, signal.SIGINT)


def system_calls(programs, server, scenario, count):
    """Exact counts: system calls per unit, by name, over a fixed number."""
    with running(server, scenario.mode) as (process, port):
        with Load(programs, f"{scenario.load} --count {count} --pause", port) as load:
            load.expect("ready")
            with counting_calls(process.pid) as calls:
                load.go()
                load.result()
                counted = calls()
    return {name: number / count for name, number in counted.items()}


def resident(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:  # exact; VmRSS lags behind by up to some pages per core
        return int(re.search(r"^Rss:\s+(\d+) kB", file.read(), re.MULTILINE)[1]) * 1024


def idle_memory(programs, server, connections, program="load"):
    """Resident bytes per connection that has been in use once and is silent now."""
    with running(server, "echo") as (process, port):
        with Load(programs, "echo --connections 64 --count 1 --pause", port, program=program) as few:
            few.expect("ready")  # what is made once, such as buffers, is there now
            before = resident(process.pid)
            with Load(programs, f"echo --idle {connections - 1} --count 1 --pause", port, program=program) as many:
                many.expect("ready")
                return (resident(process.pid) - before) / connections


def instructions(programs, server, scenario, waves=200):
    """Instructions of the server per message or connection outside the kernel, in turns that are the same in each run (waves.c)."""
    kind, options = scenario.load.split()[0], scenario.options()
    peers, size = options["connections"], options.get("size", 64)
    environment = [f"LD_PRELOAD={programs / 'waves.so'}", f"BENCH_WAVES={kind} {peers} {size} {waves}"]
    command = ["env", *environment, *CALLGRIND, "--collect-atstart=no", server.program, scenario.mode]
    return collected(command, server, -signal.SIGTERM) / (peers * waves)


def timer_instructions(programs, server, function):
    """Instructions of a call among 100,000 timers outside the kernel."""
    command = [*CALLGRIND, f"--toggle-collect={function}", programs / "timers", TIMERS]
    return collected(command, server, 0) / TIMERS


def collected(command, server, outcome):
    """What callgrind has counted in a program that ends with this outcome."""
    finished = subprocess.run([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              env=server.environment(), timeout=DEADLINE)
    if finished.returncode != outcome:
        raise RuntimeError(finished.stderr)
    return int(re.search(r"Collected : (\d+)", finished.stderr)[1])


def captured(command, server, cores=(SERVER_CORE,)):
    """What a program that needs no load prints."""
    finished = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True,
                              env=server.environment(), preexec_fn=pinned(cores), timeout=DEADLINE)
    return finished.stdout


def dispatch(programs, server, milliseconds):
    """Nanoseconds per listener call, by the number of listeners."""
    return json.loads(captured([programs / "dispatch", milliseconds], server))


def scaling(programs, server, work, kind, number, milliseconds):
    """Messages or listener calls a second of so many threads or processes together, without a load beside them."""
    cores = range(number)
    return json.loads(captured([programs / "scaling", work, kind, number, milliseconds], server, cores))["rate"]


@contextmanager
def on_many_loops(programs, loops):
    """The example multicore_echo with two loads, all of them on both cores."""
    cores = (SERVER_CORE, LOAD_CORE)
    process = subprocess.Popen([str(programs / "multicore_echo"), "0", str(loops)], stdout=subprocess.PIPE, text=True,
                               preexec_fn=pinned(cores))
    try:
        yield process, listening_port(process), cores
    finally:
        stop(process)
        process.stdout.close()


def many_loops(programs, loops, seconds):
    """Messages a second, and the server's processor time per message, over both loads."""
    with on_many_loops(programs, loops) as (process, port, cores):
        arguments = f"echo --connections 64 --seconds {seconds}"
        # Each measures the server's time over its own span; they are the same but for the start.
        with Load(programs, arguments, port, process.pid, cores) as one, Load(programs, arguments, port, None, cores) as two:
            first, second = one.result(), two.result()
    done = first["done"] + second["done"]
    return {"rate": done / first["seconds"], "cpu": first["cpu_ns"] / 1000 / done}


def many_loops_calls(programs, loops, count):
    """System calls per message of the same."""
    with on_many_loops(programs, loops) as (process, port, cores):
        arguments = f"echo --connections 64 --count {count // 2} --pause"
        with Load(programs, arguments, port, None, cores) as one, Load(programs, arguments, port, None, cores) as two:
            one.expect("ready")
            two.expect("ready")
            with counting_calls(process.pid) as calls:
                one.go()
                two.go()
                one.result()
                two.result()
                counted = calls()
    return {name: number / count for name, number in counted.items()}
