#!/usr/bin/env bash
# Opens pages of `dumpmap report` in a headless Chromium: clicks, keys, links,
# themes, accessibility, the view without script. Installs what the tests need:
# two npm packages, and Chromium when it is absent, apt-get is there and the
# user is root. Where that cannot be done it says why and passes, unless
# CI=true. Works from any folder.
#
#   scripts/browser-tests.sh            every test
#   scripts/browser-tests.sh --picture  the README's picture, made anew
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tests="browser tests"
. scripts/skip.sh
found() { command -v "$@" 2>/dev/null | head -n 1; }

command -v node >/dev/null || skip "there is no node (20 or later)"
command -v npm >/dev/null || skip "there is no npm"
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ] || skip "node is older than 20"

export CHROMIUM=${CHROMIUM:-$(found chromium chromium-browser google-chrome)}
if [ -z "$CHROMIUM" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    (apt-get update && apt-get install -y --no-install-recommends chromium) >&2 || true
    CHROMIUM=$(found chromium)
fi
[ -n "$CHROMIUM" ] || skip "there is no Chromium (CHROMIUM=PATH names one)"

(cd tests/browser && npm ci --no-audit --no-fund --prefer-offline --loglevel=error) ||
    skip "npm ci failed in tests/browser"

cargo build --all-features
export DUMPMAP_BIN=${DUMPMAP_BIN:-${CARGO_TARGET_DIR:-$PWD/target}/debug/dumpmap}
cd tests/browser
if [ "${1:-}" = --picture ]; then
    exec node picture.js
fi
exec node --test --test-reporter=spec
