# SPDX-License-Identifier: MIT
# Shared by scripts/demo and scripts/test: checks for, or installs, what the build needs.
# shellcheck shell=bash

# Debian/Ubuntu package: what it is for.
vj_packages() {
    cat <<'LIST'
build-essential C compiler and make
cmake build system
ninja-build build tool
pkg-config finds libraries
libjpeg-dev JPEG decoding (libjpeg-turbo)
libpng-dev PNG
zlib1g-dev checksums in PyTorch files
libhdf5-dev results and weight files
libdnnl-dev network on the CPU (oneDNN)
libconfig-dev configuration files
libssl-dev SHA-256
libsnappy-dev compressed checkpoint indexes
libcmocka-dev unit tests
LIST
}

vj_missing_packages() {
    local name use
    while read -r name use; do
        dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q '^install ok installed' ||
            printf '%s\n' "$name"
    done < <(vj_packages)
}

# vj_setup INSTALL: installs missing packages (INSTALL=1) or lists them and fails (INSTALL=0).
vj_setup() {
    if ! command -v dpkg-query >/dev/null; then
        echo "This is not a Debian or Ubuntu system; these are needed (Debian's names):" >&2
        vj_packages | sed 's/^/  /' >&2
        echo "Going on as if they were there; CMake will say what is missing." >&2
        return 0
    fi
    local missing
    mapfile -t missing < <(vj_missing_packages)
    [ "${#missing[@]}" -eq 0 ] && return 0
    if [ "$1" != 1 ]; then
        echo "Missing packages:" >&2
        vj_packages | grep -wF -f <(printf '%s\n' "${missing[@]}") | sed 's/^/  /' >&2
        echo "Install them with: apt-get install ${missing[*]}" >&2
        return 1
    fi
    local sudo=()
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || {
            echo "Not root and no sudo; run as root: apt-get install ${missing[*]}" >&2
            return 1
        }
        sudo=(sudo)
        echo "Installing ${missing[*]} (sudo may ask for your password)"
    else
        echo "Installing ${missing[*]}"
    fi
    local log
    log=$(mktemp)
    if ! { "${sudo[@]}" apt-get update -qq && "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        echo "Installation failed; the whole log is $log" >&2
        return 1
    fi
    rm -f "$log"
}

# vj_build PRESET: configures and builds; prints only warnings, errors and one line.
vj_build() {
    local start=$SECONDS log
    log=$(mktemp)
    if ! { cmake --preset "$1" && cmake --build --preset "$1"; } >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        echo "Build failed (preset $1)" >&2
        return 1
    fi
    grep -E 'warning:' "$log" >&2 || true
    rm -f "$log"
    echo "Built preset $1 in $((SECONDS - start)) s"
}
