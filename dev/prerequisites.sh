#!/bin/sh
# Says what is missing before anything is built: rustup's Rust, a C compiler, Python 3.11 or newer.
# Everything else is installed by `cargo dev` itself. This is the one part that cannot be written in Rust.
missing=0

lacks() {
    echo "naja: missing: $1" >&2
    echo "      install it: $2" >&2
    missing=1
}

echo "naja: looking for Rust, a C compiler and Python" >&2

# rustup's cargo may be installed and not yet on this shell's path.
command -v cargo >/dev/null 2>&1 || lacks "cargo (Rust)" \
    "see https://rustup.rs; if you just did, run: . \"\$HOME/.cargo/env\""
command -v cc >/dev/null 2>&1 || lacks "cc (a C compiler)" \
    "Debian, Ubuntu: apt-get install gcc libc6-dev; Fedora: dnf install gcc; Arch: pacman -S gcc"

python=""
for candidate in ${PYTHON:-} python3.11 python3 python3.12 python3.13 python3.14; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || lacks "Python 3.11 or newer" \
    "Debian 12: apt-get install python3 python3-venv; or pyenv install 3.11; or say where it is: make PYTHON=/path/to/python3.11"

if [ "$missing" = 1 ]; then
    exit 2
fi

# The first start of cargo also fetches the pinned toolchain, and compiles the chores themselves.
[ -x "${CARGO_TARGET_DIR:-target}/release/naja-dev" ] ||
    echo "naja: building the project's own chores, cargo dev (half a minute, once)" >&2
