#!/usr/bin/env bash
# Every check and test of the project, in the order in which they fail fastest.
# Needs a stable Rust toolchain with rustfmt and clippy. Works from any folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

heading() { printf '\n==> %s\n' "$*"; }
run() {
    heading "$@"
    "$@"
}

for tool in rustfmt clippy-driver; do
    command -v "$tool" >/dev/null || {
        echo "scripts/test.sh: $tool not found: rustup component add rustfmt clippy" >&2
        exit 2
    }
done
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}

run cargo fmt --check
run cargo clippy --all-targets --all-features -- -D warnings
RUSTDOCFLAGS="-D warnings" run cargo doc --no-deps
run cargo build --examples --all-features

# The fuzz targets need a C++ compiler and crates that nothing else needs.
if [ ! -f fuzz/Cargo.toml ]; then
    heading "fuzz targets: skipped, there is no fuzz/Cargo.toml"
elif ! command -v c++ >/dev/null; then
    heading "fuzz targets: skipped, there is no C++ compiler"
elif ! cargo fetch --quiet --manifest-path fuzz/Cargo.toml; then
    heading "fuzz targets: skipped, their dependencies do not resolve"
else
    run cargo check --manifest-path fuzz/Cargo.toml
fi

# Last, so that the test results are the last thing to read.
run cargo test --all-features
heading "all passed"
