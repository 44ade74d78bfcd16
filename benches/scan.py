#!/usr/bin/env python3
"""What `dumpmap scan` costs a dump, in one process, over many small dumps.

Makes the dumps once (20,000 take 6 GB; --count makes fewer), warms the page cache, and runs `scan` with one worker, with two,
and `limit` with positioned reads in turn, A B C A B C. Targets: 60 us of CPU a dump, two workers at most 1.2 times the CPU of
one, 64 MB. The program is built with the allocator of the released ones, the feature `mimalloc`.
With --peer also `minidump-stackwalk`, which takes one dump a process, on every dump of an even sample of 200.
"""

import argparse
import json
import os
import random
import resource
import statistics
import struct
import subprocess
import sys
import time
from pathlib import Path

from common import MB, Measure, build_dumpmap, build_limit, data_dir, fail, make_dump, shared

KINDS = 150


def dumps(folder, count):
    """About 900 regions, 35 threads and 65 modules each; every twentieth is a collected one."""
    done = folder / "done"
    if done.is_file() and done.read_text() == str(count):
        return
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(7)
    made = []
    for seed in range(min(KINDS, count)):
        threads, modules = rng.randint(4, 60), rng.randint(30, 100)
        regions = rng.randint(600, 1200) + 3 * threads
        path = folder / "kind.tmp"
        make_dump("mkbig.py", path, "--regions", regions, "--threads", threads, "--modules", modules,
                  "--seed", seed, "--stack-bytes", 256)
        made.append(path.read_bytes())
        path.unlink()
    found = sorted(path for path in shared("corpus").rglob("*.dmp") if 64 < path.stat().st_size < 300_000)
    real = [data for data in (path.read_bytes() for path in found) if data[:4] == b"MDMP"]
    for number in range(count):
        source = real[number // 20 % len(real)] if number % 20 == 0 else made[number % len(made)]
        data = bytearray(source)
        struct.pack_into("<I", data, 20, 1_700_000_000 + number)
        below = folder / f"{number // 1000:03d}"
        below.mkdir(exist_ok=True)
        (below / f"{number:06d}.dmp").write_bytes(data)
    done.write_text(str(count))


def timed(command, **environment):
    """CPU and wall seconds of one run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.monotonic()
    run = subprocess.run([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                         env={**os.environ, **environment})
    wall = time.monotonic() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if run.returncode not in (0, 2):
        fail(f"{command}: {run.stderr}")
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, wall


def limit_cpu(limit, folder):
    """CPU seconds a dump of the least that reading the dumps can cost."""
    found = sorted(folder.rglob("*.dmp"))
    spent = 0.0
    # As many as an argument list holds.
    for at in range(0, len(found), 5_000):
        cpu, _ = timed([limit, *found[at : at + 5_000]], LIMIT_PREAD="1")
        spent += cpu
    return spent / len(found)


def peer_cpu(program, folder):
    """CPU seconds a dump of a program that is started for each."""
    found = sorted(folder.rglob("*.dmp"))
    sample = found[:: max(1, len(found) // 200)]
    spent = 0.0
    for dump in sample:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        # It refuses dumps without a list of threads; that costs too.
        subprocess.run([program, str(dump)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent += after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return spent / len(sample)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the dumps are made; kept")
    parser.add_argument("--dumpmap", type=Path, help="a built program")
    parser.add_argument("--peer", help="the program minidump-stackwalk, to compare with")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    folder = options.folder or data_dir() / "scan"
    dumps(folder, options.count)
    dumpmap = options.dumpmap or build_dumpmap("--features", "mimalloc")
    limit = build_limit()
    command = [dumpmap, "scan", folder, "-f", "jsonl", "--ignore-unreadable"]
    timed(command)
    rows = {1: [], 2: []}
    floor = []
    for _ in range(options.runs):
        for jobs in rows:
            rows[jobs].append(timed([*command, "-j", jobs]))
        floor.append(limit_cpu(limit, folder))
    peaks = {jobs: Measure()([*command, "-j", jobs]).peak for jobs in rows}
    cpu = {jobs: statistics.median(cpu for cpu, _ in runs) for jobs, runs in rows.items()}
    more = statistics.median(two[0] / one[0] for one, two in zip(rows[1], rows[2]))
    faster = statistics.median(one[1] / two[1] for one, two in zip(rows[1], rows[2]))
    over = statistics.median(one[0] / options.count / least for one, least in zip(rows[1], floor))
    result = {
        "dumps": options.count,
        "limit_us_a_dump": statistics.median(floor) * 1e6,
        "cpu_over_limit": over,
        "cpu_us_a_dump": cpu[1] / options.count * 1e6,
        "cpu_two_workers": more,
        "speedup_two_workers": faster,
        "peak_mb": {jobs: peak / MB for jobs, peak in peaks.items()},
    }
    print(f"{options.count:,} dumps")
    print(f"CPU a dump, one worker   {result['cpu_us_a_dump']:8.1f} us   target 60")
    print(f"CPU a dump, limit        {result['limit_us_a_dump']:8.1f} us   {over:.2f} x of it")
    print(f"CPU of two workers       {more:8.2f} x    target 1.2")
    print(f"two workers are faster   {faster:8.2f} x    target 1.6, on a machine with two idle processors")
    print(f"peak memory              {max(peaks.values()) / MB:8.1f} MB   target 64")
    if options.peer:
        result["peer_cpu_us_a_dump"] = peer_cpu(options.peer, folder) * 1e6
        times = result["peer_cpu_us_a_dump"] / result["cpu_us_a_dump"]
        print(f"CPU a dump, the peer     {result['peer_cpu_us_a_dump']:8.1f} us   {times:.0f} x")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
