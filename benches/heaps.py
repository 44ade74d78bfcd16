#!/usr/bin/env python3
"""What a walk of all heaps costs, over reading each captured page of them once.

Two numbers a dump, and peak memory:

  program  CPU time of `dumpmap heaps --walk` over that of `heap_pages`, which analyses the dump in the
           same way and then adds up the words of the heaps' pages; the two in turn
  walk     the walk alone over the pages alone, in one process, in turn

Made dumps have one large heap, at two sizes: peak memory must not follow the size.
"""

import argparse
import os
import re
import statistics
import subprocess
from pathlib import Path

from common import MB, ROOT, Measure, build_dumpmap, data_dir, fail, shared, target_dir

TARGET = 2.0
KINDS = ["nt", "lfh", "segment"]
COLLECTED = [
    "llvm__llvm-project/fizzbuzz_wow64.dmp",
    "mozilla-services__minidump-stackwalk/windows-x86_64.dmp",
    "mozilla-services__minidump-stackwalk/windows-aarch64.dmp",
]


def build_example(name):
    command = ["cargo", "build", "--release", "--quiet", "--example", name]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target_dir())}
    if subprocess.run(command, cwd=ROOT, env=environment).returncode:
        fail(f"cannot build {name}")
    return target_dir() / "release" / "examples" / name


def made(generator, kind, size):
    """A made dump, kept."""
    path = data_dir() / f"heap-{kind}-{size}.dmp"
    if not path.exists():
        partial = path.with_suffix(".part")
        if subprocess.run([generator, kind, str(size), partial]).returncode:
            fail(f"cannot make {path.name}")
        partial.rename(path)
    return path


def ours(dumpmap, dump):
    return [dumpmap, "heaps", dump, "--walk", "-f", "json"]


def program_ratio(measure, dumpmap, pages, dump, runs):
    ratios, peaks = [], []
    for nth in range(runs + 2):
        a, b = measure(ours(dumpmap, dump), timeout=300), measure([pages, dump], timeout=300)
        if a.code or b.code:
            fail(f"{dump.name}: exit codes {a.code} and {b.code}")
        if nth >= 2:
            ratios.append(a.cpu / max(b.cpu, 1e-6))
            peaks.append(a.peak)
    return statistics.median(ratios), max(peaks)


def walk_ratio(pages, dump, runs):
    done = subprocess.run([pages, dump, "--pairs", str(runs)], capture_output=True, text=True)
    found = re.search(r"(\d+) blocks; .* ratio ([\d.]+)", done.stdout)
    if not found:
        fail(f"{dump.name}: {done.stdout}{done.stderr}")
    return int(found[1]), float(found[2])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9, help="measured pairs a dump (9)")
    parser.add_argument("--mib", type=int, nargs=2, default=[64, 256], help="sizes of the made heaps (64 256)")
    parser.add_argument("--programs", type=Path, metavar="FOLDER",
                        help="a folder that has dumpmap and examples/, instead of building")
    options = parser.parse_args()

    measure = Measure()
    if options.programs:
        dumpmap = options.programs / "dumpmap"
        pages, generator = (options.programs / "examples" / name for name in ("heap_pages", "make_heap"))
    else:
        dumpmap, pages, generator = build_dumpmap(), build_example("heap_pages"), build_example("make_heap")
    small, large = sorted(options.mib)
    dumps = [shared("corpus") / name for name in COLLECTED]
    dumps += [made(generator, kind, size) for kind in KINDS for size in (small, large)]

    print(f"{'dump':<24} {'blocks':>10} {'program':>8} {'walk':>7} {'peak':>9}  verdict")
    peaks = {}
    for dump in dumps:
        if not dump.exists():
            fail(f"no {dump}")
        ratio, peak = program_ratio(measure, dumpmap, pages, dump, options.runs)
        blocks, walk = walk_ratio(pages, dump, options.runs)
        peaks[dump.name] = peak
        verdict = "PASS" if max(ratio, walk) <= TARGET else f"over {TARGET}x"
        print(f"{dump.name:<24} {blocks:>10,} {ratio:>7.2f}x {walk:>6.2f}x {peak / MB:>6.1f} MB  {verdict}", flush=True)
    for kind in KINDS:
        one, other = (peaks[f"heap-{kind}-{size}.dmp"] for size in (small, large))
        verdict = "PASS" if other - one <= MB else "grows with the heap"
        print(f"peak, {kind}: {one / MB:.1f} MB at {small} MiB, {other / MB:.1f} MB at {large} MiB  {verdict}")


if __name__ == "__main__":
    main()
