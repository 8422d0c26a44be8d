#!/bin/sh
# Starts an echo server, sends it a line with a real client, compares the answer, stops the server.
#
#   run.sh PROGRAM [CLIENT]      CLIENT: nc, curl, python3 or bash; without it, the first there is
#
# Exits with 0 if the line came back unchanged, else with 1 and the reason.
# SPDX-License-Identifier: MIT OR Apache-2.0

program=$1
client=$2
line="hello from a real client"
seconds=10 # for each thing that is waited for

work=$(mktemp -d "${TMPDIR:-/tmp}/server_socket.XXXXXX") || exit 1
server_pid=
client_pid=

clean_up() {
    # By their own ids: only what was started here is stopped.
    [ -z "$client_pid" ] || kill "$client_pid" 2>/dev/null
    [ -z "$server_pid" ] || kill "$server_pid" 2>/dev/null
    wait
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

fail() {
    echo "FAILED: $1" >&2
    [ ! -s "$work/server.err" ] || sed 's/^/  the server said: /' "$work/server.err" >&2
    [ ! -s "$work/client.err" ] || sed 's/^/  the client said: /' "$work/client.err" >&2
    exit 1
}

# await FILE PID: waits until FILE has a whole line; gives up when PID has ended without one.
await() {
    tries=$((seconds * 10))
    while [ "$tries" -gt 0 ]; do
        [ "$(wc -l <"$1")" -eq 0 ] || return 0
        if ! kill -0 "$2" 2>/dev/null; then
            [ "$(wc -l <"$1")" -gt 0 ] # it may have written its line and ended since we looked
            return
        fi
        sleep 0.1 2>/dev/null || sleep 1 # not every sleep knows fractions
        tries=$((tries - 1))
    done
    return 1
}

# Every client copies its input to the connection and prints what comes back.
run_client() {
    case $client in
    nc) exec nc 127.0.0.1 "$1" ;;
    curl) exec curl --silent --show-error --no-buffer "telnet://127.0.0.1:$1" ;;
    python3)
        exec python3 -c '
import socket, sys
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
connection.sendall(sys.stdin.readline().encode())
print(connection.makefile().readline(), end="", flush=True)' "$1"
        ;;
    bash)
        exec bash -c '
exec 4<>"/dev/tcp/127.0.0.1/$1" || exit
read -r line && printf "%s\n" "$line" >&4
read -r line <&4 && printf "%s\n" "$line"' bash "$1"
        ;;
    *) echo "run.sh knows no client named $client" >&2 && exit 1 ;;
    esac
}

if [ -z "$client" ]; then
    for client in nc curl python3 bash ""; do
        [ -z "$client" ] || ! command -v "$client" >/dev/null 2>&1 || break
    done
    [ -n "$client" ] || fail "no client to try it with: none of nc, curl, python3, bash is installed"
fi

: >"$work/server.out"
"$program" 0 >"$work/server.out" 2>"$work/server.err" &
server_pid=$!
await "$work/server.out" "$server_pid" || fail "$program did not start to listen"
read -r listening <"$work/server.out"
port=${listening##*:}
echo "The echo server runs (process $server_pid): $listening"

# The client reads from a pipe that stays open, so that it does not hang up before the answer.
mkfifo "$work/input" || fail "no pipe could be made"
: >"$work/answer"
run_client "$port" <"$work/input" >"$work/answer" 2>"$work/client.err" &
client_pid=$!
exec 3>"$work/input"
trap '' PIPE # a client that is gone is found out by its missing answer
echo "$client sends:    $line"
printf '%s\n' "$line" >&3
await "$work/answer" "$client_pid" || fail "no answer came within $seconds seconds"
exec 3>&-
read -r answer <"$work/answer"
echo "$client receives: $answer"
[ "$answer" = "$line" ] || fail "the answer is not what was sent"

kill "$server_pid" || fail "the server had ended before it was stopped"
wait "$server_pid" 2>/dev/null
server_pid=
echo "The server is stopped. It works."
