#!/usr/bin/env python3
# What is inside of a library that is handed out: its crates, as a list in CycloneDX's form, and their licences as texts.
#
#     ci/sbom.py TARGET FOLDER [RUSTC]
#
# writes FOLDER/server_socket.cdx.json and FOLDER/licences/. The crates are those that Cargo.lock has for this target without tests and
# what only builds need; beside them stands Rust's standard library, which every library of Rust has inside.
# SPDX-License-Identifier: MIT OR Apache-2.0
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEXTS = re.compile(r"^(licen[cs]e|copying|copyright|notice|unlicense)", re.IGNORECASE)


def metadata(target):
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", target]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


def linked(nodes, start):
    """The nodes that are linked into `start`, by its dependencies that are neither for tests nor for building."""
    found, todo = {}, [start]
    while todo:
        name = todo.pop()
        if name not in found:
            normal = [d["pkg"] for d in nodes[name]["deps"] if any(kind["kind"] is None for kind in d["dep_kinds"])]
            found[name] = sorted(normal)
            todo += normal
    return found


def checksums():
    lock = (ROOT / "Cargo.lock").read_text()
    entry = re.compile(r'name = "(.*)"\nversion = "(.*)"\nsource = .*\nchecksum = "(.*)"')
    return {(name, version): checksum for name, version, checksum in entry.findall(lock)}


def url_of(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package, kind, checksum):
    entry = {
        "type": kind,
        "bom-ref": url_of(package),
        "name": package["name"],
        "version": package["version"],
        "licenses": [{"expression": package["license"]}],
        "purl": url_of(package),
    }
    if package["description"]:
        entry["description"] = " ".join(package["description"].split())
    if checksum:
        entry["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return entry


def standard_library(rustc):
    version = subprocess.run([rustc, "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()[1]
    return {"name": "std", "version": version, "license": "MIT OR Apache-2.0", "description": "Rust's standard library"}


def bill(main, packages, graph, rustc):
    known = checksums()
    std = standard_library(rustc)
    std_entry = component(std, "library", None)
    std_entry["purl"] = std_entry["bom-ref"] = f"pkg:github/rust-lang/rust@{std['version']}"
    libraries = [component(p, "library", known.get((p["name"], p["version"]))) for p in packages if p is not main]
    edges = [
        {"ref": url_of(p), "dependsOn": sorted([url_of(q) for q in packages if q["id"] in graph[p["id"]]] + [std_entry["purl"]])}
        for p in packages
    ]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": component(main, "library", None)},
        "components": libraries + [std_entry],
        "dependencies": edges + [{"ref": std_entry["purl"]}],
    }


def texts_of(package):
    folder = pathlib.Path(package["manifest_path"]).parent
    found = sorted(path for path in folder.iterdir() if path.is_file() and TEXTS.match(path.name))
    if not found:
        sys.exit(f"{package['name']} {package['version']} has no text of its licence")
    return found


def copy_licences(packages, folder, rustc):
    for package in packages:
        into = folder / f"{package['name']}-{package['version']}"
        into.mkdir(parents=True)
        for text in texts_of(package):
            shutil.copyfile(text, into / text.name)
    sysroot = subprocess.run([rustc, "--print", "sysroot"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    # Where rustup puts it, and where Debian does, for either of its packages.
    places = [f"{sysroot}/share/doc/rust/COPYRIGHT-library.html", f"{sysroot}/share/doc/rust/COPYRIGHT"]
    places += ["/usr/share/doc/libstd-rust-web-dev/copyright", "/usr/share/doc/libstd-rust-dev/copyright"]
    text = next((pathlib.Path(place) for place in places if os.path.exists(place)), None)
    if text is None:
        sys.exit("Rust's standard library comes without the text of its licence here")
    into = folder / "rust-std"
    into.mkdir()
    shutil.copyfile(text, into / text.name)


def main():
    target, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    rustc = sys.argv[3] if len(sys.argv) > 3 else "rustc"
    known = metadata(target)
    by_id = {package["id"]: package for package in known["packages"]}
    graph = linked({node["id"]: node for node in known["resolve"]["nodes"]}, known["resolve"]["root"])
    packages = sorted((by_id[name] for name in graph), key=lambda package: (package["name"], package["version"]))
    ours = by_id[known["resolve"]["root"]]
    copy_licences(packages, folder / "licences", rustc)
    text = json.dumps(bill(ours, packages, graph, rustc), indent=2)
    (folder / "server_socket.cdx.json").write_text(text + "\n")


main()
