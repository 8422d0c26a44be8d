#!/usr/bin/env python3
# docs/chat.svg: the chat of c-examples at work, from a real run.
#
#     make -C c-examples chat_server && docs/chat.py
#
# Three guests talk by nc. One of them falls asleep (SIGSTOP) and reads nothing more, and another pastes a long text: the third gets
# all of it, and the sleeper is dropped. Every line of the picture was printed or typed in that run, at the time beside it.
# SPDX-License-Identifier: MIT OR Apache-2.0
import html
import pathlib
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PASTED = 80_000  # lines
DEADLINE = 60  # seconds, for each thing that is waited for


class Pane:
    """A program in a terminal: what it prints, and what is typed into it, with the time of each line."""

    def __init__(self, title, command, start):
        self.title, self.start, self.lines = title, start, []
        self.said(f"$ {' '.join(command)}", "command")
        real = [str(ROOT / "c-examples" / command[0])] + command[1:] if "/" in command[0] else command
        self.process = subprocess.Popen(real, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        threading.Thread(target=self.read, daemon=True).start()

    def said(self, text, kind):
        self.lines.append((time.monotonic() - self.start, text, kind))

    def read(self):
        for line in self.process.stdout:
            self.said(line.decode().rstrip("\n"), "printed")

    def type(self, text):
        self.said(text, "typed")
        self.process.stdin.write(f"{text}\n".encode())
        self.process.stdin.flush()

    def await_line(self, part):
        end = time.monotonic() + DEADLINE
        while not any(part in text for _, text, _ in list(self.lines)):
            if time.monotonic() > end or self.process.poll() is not None:
                sys.exit(f"{self.title}: nothing with {part!r} came: {self.lines[-3:]}")
            time.sleep(0.01)
        return next(text for _, text, _ in self.lines if part in text)


def guest(server_port, start, number):
    pane = Pane(f"guest {number}", ["nc", "127.0.0.1", server_port], start)
    pane.await_line(f"you are guest {number}")
    return pane


def run(panes):
    start = time.monotonic()
    server = Pane("the server", ["build/chat_server", "0"], start)
    panes.append(server)
    port = server.await_line("listening on").rsplit(":", 1)[1]
    anna, ben, sleeper = (panes.append(guest(port, start, number)) or panes[-1] for number in (1, 2, 3))
    anna.type("good evening")
    ben.await_line("good evening")
    sleeper.await_line("good evening")
    ben.type("hello, guest 1")
    anna.await_line("hello, guest 1")
    sleeper.await_line("hello, guest 1")
    sleeper.said("^Z  (it reads nothing from here on)", "note")
    sleeper.process.send_signal(signal.SIGSTOP)
    anna.said(f"(pastes {PASTED:,} lines)", "note")
    for number in range(1, PASTED + 1):
        anna.process.stdin.write(f"line {number:,} of a text that is rather long, as texts are that somebody pastes\n".encode())
    anna.process.stdin.flush()
    ben.await_line(f"line {PASTED:,} ")
    server.await_line("guest 3 is dropped")
    ben.type("I have read it all")
    anna.await_line("read it all")


def shortened(lines):
    """A pane's lines, with what is between the first and the last of the pasted ones left out."""
    pasted = [index for index, (_, text, _) in enumerate(lines) if ": line " in text]
    if len(pasted) < 4:
        return lines
    when = lines[pasted[1]][0]
    left_out = (when, f"... {len(pasted) - 2:,} lines more ...", "note")
    return lines[: pasted[0] + 1] + [left_out] + lines[pasted[-1] :]


WIDTH, HEIGHT, GAP, LINE, MOST = 446, 200, 8, 19, 52
STYLE = """text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#d0d7de;white-space:pre}
.title{fill:#8b949e}.time{fill:#6e7681;font-size:10px}.command{fill:#7ee787}.typed{fill:#ffffff;font-weight:600}.note{fill:#d29922}"""


def drawn(pane, x, y):
    parts = [f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="6" fill="#0d1117" stroke="#30363d"/>']
    parts.append(f'<text x="{x + 12}" y="{y + 20}" class="title">{html.escape(pane.title)}</text>')
    for row, (when, text, kind) in enumerate(shortened(pane.lines)):
        text = text if len(text) <= MOST else text[: MOST - 1] + "…"
        top = y + 44 + row * LINE
        parts.append(f'<text x="{x + 12}" y="{top}" class="time">{when:5.2f}</text>')
        parts.append(f'<text x="{x + 48}" y="{top}" class="{kind}">{html.escape(text)}</text>')
    return parts


def picture(panes):
    width, height = 2 * WIDTH + 3 * GAP, 2 * HEIGHT + 3 * GAP
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">']
    parts += [f"<style>{STYLE}</style>", f'<rect width="{width}" height="{height}" fill="#161b22"/>']
    for index, pane in enumerate(panes):
        parts += drawn(pane, GAP + index % 2 * (WIDTH + GAP), GAP + index // 2 * (HEIGHT + GAP))
    return "\n".join(parts + ["</svg>"]) + "\n"


def main():
    panes = []
    try:
        run(panes)
    finally:
        for pane in panes:
            pane.process.kill()
            pane.process.wait()
    (ROOT / "docs" / "chat.svg").write_text(picture(panes))


main()
