#!/usr/bin/env python3
"""What `dumpmap crash` costs beside `minidump-stackwalk`, the program that answers the same question.

Both read one dump of a crash and print text, without symbols. They run in turn, A B A B; CPU time of the whole program
over that of the other, the median of the pairs. Installs nothing: `cargo install minidump-stackwalk --version 0.27.0`.
"""

import argparse
import json
import shutil
import statistics
import sys
from pathlib import Path

from common import MB, Measure, build_dumpmap, fail, shared

# Of the corpus: Windows, Linux, macOS and Android, 20 KB to 20 MB.
DUMPS = [
    "google__breakpad/minidump2.dmp",
    "google__breakpad/linux_overflow.dmp",
    "mozilla-services__minidump-stackwalk/windows-x86_64.dmp",
    "mozilla-services__minidump-stackwalk/windows-aarch64.dmp",
    "mozilla-services__minidump-stackwalk/linux-x86_64.dmp",
    "mozilla-services__minidump-stackwalk/android-aarch64.dmp",
    "mozilla-services__minidump-stackwalk/macos-x86_64.dmp",
]


def find_peer(given):
    """The peer's program, as it was given or as the shell would find it."""
    found = shutil.which(given)
    if not found:
        fail(f"no program {given}: cargo install minidump-stackwalk --version 0.27.0, or --peer PROGRAM")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dumps", nargs="*", type=Path, help="other dumps than seven of the corpus")
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--dumpmap", type=Path, help="a built program")
    parser.add_argument("--peer", default="minidump-stackwalk")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    peer = find_peer(options.peer)
    dumpmap = options.dumpmap or build_dumpmap()
    measure = Measure()
    rows = []
    for dump in options.dumps or [shared("corpus") / name for name in DUMPS]:
        commands = ([dumpmap, "crash", dump], [peer, dump])
        pairs = [[measure(command) for command in commands] for _ in range(options.runs + 2)][2:]
        for run, command in zip(pairs[0], commands):
            if run.code:
                fail(f"{command}: {run.stderr}")
        ours, theirs = zip(*pairs)
        rows.append({
            "dump": dump.name,
            "cpu_ms": statistics.median(run.cpu for run in ours) * 1e3,
            "peer_cpu_ms": statistics.median(run.cpu for run in theirs) * 1e3,
            "peer_over_ours": statistics.median(b.cpu / a.cpu for a, b in pairs),
            "peak_mb": max(run.peak for run in ours) / MB,
            "peer_peak_mb": max(run.peak for run in theirs) / MB,
        })
        row = rows[-1]
        print(f"{dump.parent.name[-24:]:>24}/{dump.name:<24} {row['cpu_ms']:6.1f} ms  peer {row['peer_cpu_ms']:6.1f} ms"
              f"  {row['peer_over_ours']:5.1f} x  {row['peak_mb']:5.1f} MB  peer {row['peer_peak_mb']:5.1f} MB")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
