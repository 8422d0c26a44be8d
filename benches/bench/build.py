# SPDX-License-Identifier: MIT OR Apache-2.0
"""Builds the library, the load and the servers."""

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

BENCHES = Path(__file__).resolve().parent.parent
ROOT = BENCHES.parent
OPTIMISED = ["-O2", "-Wall", "-Wextra"]


@dataclass(frozen=True)
class Server:
    name: str
    program: Path
    library: Path | None = None  # a directory with the library to use instead of the one linked to

    def environment(self):
        return {**os.environ, "LD_LIBRARY_PATH": str(self.library)} if self.library else dict(os.environ)

    @property
    def is_ours(self):
        """Whether the targets are meant for it: our library, from C."""
        return self.name.partition(":")[0] == "ours"


@dataclass(frozen=True)
class Peer:
    source: str
    packages: list = field(default_factory=list)  # Debian's
    header: str = ""  # what is there when they are
    flags: list = field(default_factory=list)


PEERS = {
    "epoll": Peer("epoll.c"),
    "ours": Peer("ours.c"),
    "ours-hpp": Peer("ours_hpp.cpp"),
    "libuv": Peer("libuv.c", ["libuv1-dev"], "uv.h", ["-luv"]),
    "libevent": Peer("libevent.c", ["libevent-dev"], "event2/event.h", ["-levent_core"]),
    "asio": Peer("asio.cpp", ["libboost-dev"], "boost/asio.hpp", ["-pthread"]),
    "uring": Peer("uring.c", ["liburing-dev"], "liburing.h", ["-luring"]),
    "hxcpp": Peer("haxe/Classes.hx"),
    "hxcpp-select": Peer("haxe/Select.hx"),
}
OPTIONAL = ["uring", "hxcpp", "hxcpp-select"]  # measured only when they are named
DEFAULT = [name for name in PEERS if name not in OPTIONAL]
TOOLS = {"strace": "strace", "valgrind": "valgrind", "cc": "gcc", "c++": "g++"}  # and their packages


def run(*command, **more):
    subprocess.run([str(part) for part in command], check=True, **more)


def install(servers, more=None, headers=None):
    """Installs what is missing, if this user may; more, headers: further tools and headers, and their packages."""
    missing = [package for tool, package in {**TOOLS, **(more or {})}.items() if not shutil.which(tool)]
    missing += [package for header, package in (headers or {}).items() if not Path("/usr/include", header).exists()]
    for name in servers:
        peer = PEERS[name]
        if peer.header and not Path("/usr/include", peer.header).exists():
            missing += peer.packages
    if not missing:
        return
    if not (shutil.which("apt-get") and os.geteuid() == 0):
        print("missing:", *missing, flush=True)
        return
    run("apt-get", "update", "-q", stdout=subprocess.DEVNULL)
    run("apt-get", "install", "-q", "-y", "--no-install-recommends", *missing, stdout=subprocess.DEVNULL)


def target_directory():
    return ROOT / os.environ.get("CARGO_TARGET_DIR", "target")


def library():
    """The directory of the release library, built."""
    run("cargo", "build", "--release", "--quiet", cwd=ROOT)
    return target_directory() / "release"


def compile_program(source, output, libraries, *flags):
    compiler = ["c++", "-std=c++17"] if source.suffix == ".cpp" else ["cc", "-std=gnu11"]
    run(*compiler, *OPTIMISED, "-I", ROOT / "include", source, "-o", output, "-L", libraries,
        f"-Wl,-rpath,{libraries}", *flags)


def have_hxcpp():
    try:
        return subprocess.run(["haxelib", "path", "hxcpp"], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def compile_haxe(source, output, libraries):
    """A program for hxcpp, which makes a folder of it."""
    run("haxe", "-cp", ROOT / "haxe/src", "-cp", source.parent, "-main", source.stem, "-cpp", output, "-D", f"SERVER_SOCKET_LIB={libraries}",
        stdout=subprocess.DEVNULL)


def build(names):
    """Builds what is needed for these servers. Returns them by name, and the directory of all programs."""
    libraries = library()
    programs = target_directory() / "benches"
    programs.mkdir(parents=True, exist_ok=True)
    ours = ["-lserver_socket"]
    work = [("load.c", "load", []), ("waves.c", "waves.so", ["-shared", "-fPIC"]), ("../c-examples/multicore_echo.c", "multicore_echo", [*ours, "-pthread"])]
    work += [(f"{name}.c", name, [*ours, "-pthread"]) for name in ("dispatch", "timers", "turns", "scaling")]
    servers = {}
    for name in names:
        peer = PEERS[name]
        if peer.header and not Path("/usr/include", peer.header).exists():
            print(f"SKIPPED: {name} needs {' '.join(peer.packages)}", flush=True)
            continue
        source = BENCHES / "peers" / peer.source
        if source.suffix == ".hx":
            if not have_hxcpp():
                print(f"SKIPPED: {name} needs hxcpp", flush=True)
                continue
            compile_haxe(source, programs / name, libraries)
            servers[name] = Server(name, programs / name / source.stem)
            continue
        work.append((f"peers/{peer.source}", name, peer.flags + (ours if name.startswith("ours") else [])))
        servers[name] = Server(name, programs / name)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = [pool.submit(compile_program, BENCHES / source, programs / output, libraries, *flags)
                for source, output, flags in work]
    for compiled in done:
        compiled.result()
    return servers, programs


def with_library(server, label, path, programs):
    """The same server with another build of the library: path is its .so, or a directory with it."""
    path = Path(path).resolve()
    if path.is_dir():
        path = path / "libserver_socket.so"
    # A copy, so that a build going on elsewhere does not change what is measured.
    directory = programs / f"library-{label}"
    directory.mkdir(exist_ok=True)
    shutil.copy(path, directory / "libserver_socket.so")
    return Server(f"{server.name}:{label}", server.program, directory)
