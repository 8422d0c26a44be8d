# need PACKAGE...: installs those of Debian's packages that are not there yet. Sourced by the scripts here and by .ci/run.
# SPDX-License-Identifier: MIT OR Apache-2.0
need() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    # Another one of these scripts may be at it. apt waits for the lock of what is installed, but not for that of the lists.
    local attempt
    for attempt in {1..60}; do
        apt-get update -q && break
        sleep 1
    done
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q -o DPkg::Lock::Timeout=600 --no-install-recommends "${missing[@]}"
}
