#!/usr/bin/env python3
"""Runs `dumpmap` on damaged and hostile dumps, and reports what it must never do: panic, hang,
burn CPU or take memory that the dump's own size does not explain.

Inputs: every file of the corpus; each of them cut at every edge of its streams, and a byte
before and after; the odd dumps of mkbad.py; the families of mkhostile.py at two sizes, whose
cost must be linear. Exits 1 when something is reported.
"""

import argparse
import itertools
import json
import os
import shutil
import struct
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import mkhostile
from common import MB, Measure, Run, build_dumpmap, data_dir, make_dump, shared

WALL_SECONDS = 10
CPU_SECONDS = 1.0
PEAK_BASE = 64 * MB
PEAK_PER_STREAM_BYTE = 2
# Past this the child's allocations fail: a leak ends the child, not the machine.
DATA_LIMIT = 4 << 30
# From one size to its double: 2 is linear, 4 is quadratic.
GROWTH = 3.0
# Below this the process start hides the growth.
GROWTH_FLOOR_SECONDS = 0.05
# 1,000 issues a stream are kept, and these dumps have one or two bad streams.
MOST_ISSUES = 2_100
# What a summary with that many issues may print.
MOST_OUTPUT = 2 * MB

# Directory entries looked at here; more is a hostile directory, whose size explains nothing.
MOST_ENTRIES = 100_000

SUMMARY = ["summary"]
# On whole files; the cuts get the summary only, which runs the whole analysis.
COMMANDS = [
    SUMMARY,
    ["summary", "-f", "json", "--depth", "walk"],
    ["regions", "-f", "jsonl"],
    ["stacks"],
    ["images"],
    ["unexplained", "--pointers"],
    ["heaps"],
    ["crash"],
    ["streams"],
]


@dataclass
class Result:
    label: str
    command: list
    stream_bytes: int
    run: Run
    stdout_bytes: int
    issues: int | None

    def faults(self):
        run = self.run
        if run.hung:
            return [f"hang: over {WALL_SECONDS} s"]
        found = []
        if run.signal:
            found.append(f"killed by signal {run.signal}")
        elif "panicked at" in run.stderr or run.code == 101:
            found.append("panic: " + " ".join(run.stderr.split())[:160])
        elif run.code not in (0, 2):
            found.append(f"exit {run.code}: {run.stderr.strip()[:120]}")
        elif run.code == 2 and "Usage:" in run.stderr:
            found.append(f"usage error: {run.stderr.strip().splitlines()[0][:120]}")
        if run.cpu > CPU_SECONDS:
            found.append(f"{run.cpu:.2f} s CPU")
        if run.peak > self.peak_limit():
            found.append(f"{run.peak / MB:.0f} MB, {self.stream_bytes / MB:.1f} MB of streams")
        return found

    def peak_limit(self):
        return PEAK_BASE + PEAK_PER_STREAM_BYTE * self.stream_bytes


class Runner:
    def __init__(self, program, measure):
        self.program, self.measure = program, measure

    def __call__(self, label, path, command, streams=None):
        streams = stream_edges(path) if streams is None else streams
        size = os.path.getsize(path)
        named = sum(max(0, min(end, size) - start) for start, end in streams)
        # The region lists can be hundreds of megabytes: they are written to nowhere.
        keep = command[0] in ("summary", "streams")
        run = self.measure([self.program, *command, path], WALL_SECONDS, DATA_LIMIT, keep)
        issues = count_issues(run.stdout) if "json" in command else None
        stdout_bytes, run.stdout = len(run.stdout), ""
        return Result(label, command, min(named, size), run, stdout_bytes, issues)


def stream_edges(path):
    """(start, end) in the file of the header, the directory and each stream of the directory."""
    size = os.path.getsize(path)
    with open(path, "rb") as dump:
        header = dump.read(32)
        if len(header) < 32 or header[:4] not in (b"MDMP", b"PMDM"):
            return [(0, min(size, 32))]
        order = "<" if header[:4] == b"MDMP" else ">"
        count, directory = struct.unpack_from(order + "II", header, 8)
        dump.seek(min(directory, size))
        count = min(count, MOST_ENTRIES)
        entries = dump.read(count * 12)
    edges = [(0, 32), (directory, directory + 12 * count)]
    for _kind, length, start in struct.iter_unpack(order + "III", entries[: len(entries) // 12 * 12]):
        edges.append((start, start + length))
    return edges


def whole(run, paths, root):
    for path in paths:
        for command in COMMANDS:
            yield lambda path=path, command=command: [run(str(path.relative_to(root)), path, command)]


def cuts(run, paths, root):
    """One job a file: it copies the file once and shortens the copy, longest cut first."""

    def job(path):
        size = path.stat().st_size
        edges = stream_edges(path)
        lengths = {edge + near for pair in edges for edge in pair for near in (-1, 0, 1)}
        with tempfile.NamedTemporaryFile(suffix=".dmp") as copy:
            shutil.copyfile(path, copy.name)
            for length in sorted(lengths, reverse=True):
                if 0 <= length < size:
                    os.truncate(copy.name, length)
                    yield run(f"{path.relative_to(root)} cut at {length}", copy.name, SUMMARY, edges)

    for path in paths:
        yield lambda path=path: list(job(path))


def families(run):
    def job(family, count):
        pair = []
        for size in (count // 2, count):
            path = data_dir() / f"hostile-{family.__name__}-{size}.dmp"
            if not path.exists():
                partial = path.with_suffix(f".{os.getpid()}.part")
                mkhostile.make(family, size, partial)
                partial.rename(path)
            pair.append([run(f"{family.__name__} {size:,}", path, command) for command in COMMANDS])
        return [*itertools.chain(*pair), *map(Growth, *pair)]

    for family, count in mkhostile.FAMILIES.items():
        yield lambda family=family, count=count: job(family, count)


@dataclass
class Growth:
    """What twice the count cost."""

    half: Result
    full: Result

    @property
    def label(self):
        return self.full.label

    @property
    def command(self):
        return self.full.command

    def faults(self):
        half, full = self.half.run, self.full.run
        found = []
        growth = full.cpu / max(half.cpu, 1e-6)
        if full.cpu > GROWTH_FLOOR_SECONDS and growth > GROWTH and not full.hung:
            found.append(f"not linear: {half.cpu:.2f} s, then {full.cpu:.2f} s at twice the count")
        if (self.full.issues or 0) > MOST_ISSUES:
            found.append(f"{self.full.issues:,} issues, at most {MOST_ISSUES:,} are kept")
        if self.full.stdout_bytes > MOST_OUTPUT:
            found.append(f"output grows with the damage: {self.full.stdout_bytes:,} bytes")
        return found


def count_issues(stdout):
    try:
        return len(json.loads(stdout)["issues"])
    except (ValueError, KeyError, TypeError):
        return None


def report(results, worst):
    runs = [result for result in results if isinstance(result, Result)]
    for title, key, shown in (
        ("most CPU", lambda r: r.run.cpu, lambda r: f"{r.run.cpu * 1e3:9.1f} ms"),
        ("most memory", lambda r: r.run.peak, lambda r: f"{r.run.peak / MB:9.1f} MB"),
        ("nearest to its memory limit", lambda r: r.run.peak / r.peak_limit(),
         lambda r: f"{r.run.peak * 100 / r.peak_limit():9.1f} %"),
    ):
        print(f"\n{title}:")
        for result in sorted(runs, key=key, reverse=True)[:worst]:
            print(f"  {shown(result)}  {' '.join(result.command)}: {result.label}")

    faulty = [(result, faults) for result in results if (faults := result.faults())]
    print(f"\n{len(runs):,} runs, {len(faulty):,} faults")
    for result, faults in faulty[:200]:
        print(f"FAULT {' '.join(result.command)}: {result.label}: {'; '.join(faults)}")
    return 1 if faulty else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=["corpus", "cuts", "bad", "families"],
                        help="only these inputs (may be repeated)")
    parser.add_argument("--worst", type=int, default=8, help="how many of the most expensive runs to show (8)")
    parser.add_argument("--dumpmap", type=Path, metavar="PROGRAM", help="run this program, build none")
    options = parser.parse_args()

    run = Runner(options.dumpmap or build_dumpmap(), Measure())
    corpus = shared("corpus")
    dumps = sorted(path for path in corpus.rglob("*") if path.is_file() and path.suffix != ".csv")
    bad = data_dir() / "bad"
    if not (bad / "dir_sparse4g.dmp").exists():
        make_dump("mkbad.py", bad)
    sources = {
        "corpus": whole(run, dumps, corpus),
        "cuts": cuts(run, dumps, corpus),
        "bad": whole(run, sorted(bad.iterdir()), bad),
        "families": families(run),
    }
    wanted = options.only or list(sources)
    jobs = [job for name in wanted for job in sources[name]]
    results = []
    with ThreadPoolExecutor(2) as pool:
        for done, found in enumerate(pool.map(lambda job: job(), jobs), 1):
            results.extend(found)
            if sys.stderr.isatty() and (done % 50 == 0 or done == len(jobs)):
                print(f"\r{done} of {len(jobs)} jobs, {len(results):,} runs", end="", file=sys.stderr, flush=True)
    sys.exit(report(results, options.worst))


if __name__ == "__main__":
    main()
