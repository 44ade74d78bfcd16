#!/usr/bin/env python3
"""What the row of a full dump in an archive costs, when only its streams are read.

For each format: CPU time of the row (`row`) over decoding the same bytes in a plain loop
(`prefix`), and of unpacking the whole dump over the row. Each run repeats its work, so that the
start of a process does not count.
"""

import argparse
import gzip
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from common import BENCHES, MB, Measure, build, fail, make_dump, target_dir

FORMATS = ["gz", "zst", "zip", "cab"]
MOST_OF_PREFIX = 3.0
LEAST_OF_WHOLE = 20.0


def make(folder, gib):
    """A full dump with contents that pack as real ones do: 45 % zero pages, the rest to a half or less."""
    dump = folder / "big.dmp"
    make_dump("mkbig.py", dump, "--regions", 10_000, "--threads", 100, "--modules", 200, "--gib", gib)
    pick = random.Random(1)
    pages = []
    for _ in range(256):
        noise = pick.randbytes(1024)
        pages.append(b"".join(noise[at : at + 4] + bytes(4) + b"\x10\x20\0\0\0\0\0\0" for at in range(0, 1024, 4)))
    size = dump.stat().st_size
    with open(dump, "r+b") as file:
        head = file.read(2 * MB)
        base = 4 * MB  # behind the streams and what they point to
        assert head[:4] == b"MDMP" and size > base
        for at in range(base, size - 4096, 4096):
            if pick.random() < 0.55:
                file.seek(at)
                file.write(pages[pick.randrange(256)][:4096])
    return dump


def pack(dump, suffix):
    archive = dump.with_name(f"big.{suffix}")
    if suffix == "gz":
        with open(dump, "rb") as source, gzip.open(archive, "wb", compresslevel=6) as target:
            shutil.copyfileobj(source, target, MB)
    elif suffix == "zst":
        subprocess.run(["zstd", "-q", "-3", dump, "-o", archive], check=True)
    elif suffix == "zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
            target.write(dump, "big.dmp")
    else:
        cabinet(dump, archive)
    return archive


def cabinet(dump, archive):
    """MSZIP in 32 KiB blocks, each on its own: Python's zlib has no shared dictionary to give."""
    import struct
    import zlib

    size = dump.stat().st_size
    blocks = -(-size // 0x8000)
    name = b"big.dmp\0"
    data_at = 36 + 8 + 16 + len(name)
    with open(dump, "rb") as source, open(archive, "wb") as target:
        target.write(bytes(data_at))
        while block := source.read(0x8000):
            deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
            packed = b"CK" + deflate.compress(block) + deflate.flush()
            target.write(struct.pack("<IHH", 0, len(packed), len(block)) + packed)
        total = target.tell()
        target.seek(0)
        target.write(b"MSCF" + struct.pack("<IIIIIBBHHHHH", 0, total, 0, 44, 0, 3, 1, 1, 1, 0, 0, 0))
        target.write(struct.pack("<IHH", data_at, blocks, 1))
        target.write(struct.pack("<IIHHHH", size, 0, 0, 0x5A21, 0, 0x20) + name)


def cpu(measure, program, what, archive, count, times, runs):
    command = [program, what, archive, count, times]
    costs = []
    for _ in range(runs + 1):
        run = measure(command, timeout=600, keep_stdout=True)
        if run.code:
            fail(f"{what} {archive}: {run.stderr.strip()}")
        costs.append(run.cpu / times)
    return statistics.median(costs[1:]), int(run.stdout), run.peak


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gib", type=float, default=0.5, help="size of the dump (0.5)")
    parser.add_argument("--runs", type=int, default=7, help="measured runs (7)")
    parser.add_argument("--times", type=int, default=20, help="repetitions in a run (20)")
    options = parser.parse_args()
    if not shutil.which("zstd"):
        fail("no zstd: install it")
    measure = Measure()
    program = build(BENCHES / "unpack" / "Cargo.toml", "unpack", target_dir() / "unpack")
    failed = False
    with tempfile.TemporaryDirectory(prefix="dumpmap-archive-", dir=os.environ.get("TMPDIR")) as folder:
        dump = make(Path(folder), options.gib)
        print(f"{'':4} {'archive':>9} {'unpacked':>10} {'row':>9} {'prefix':>9} {'x':>6} {'whole':>9} {'x':>7} {'peak':>8}")
        for suffix in FORMATS:
            archive = pack(dump, suffix)
            row, unpacked, peak = cpu(measure, program, "row", archive, "-", options.times, options.runs)
            prefix, *_ = cpu(measure, program, "plain", archive, unpacked, options.times, options.runs)
            whole, *_ = cpu(measure, program, "plain", archive, dump.stat().st_size, 1, max(1, options.runs // 3))
            over, under = row / prefix, whole / row
            bad = over > MOST_OF_PREFIX or under < LEAST_OF_WHOLE
            failed |= bad
            print(f"{suffix:4} {archive.stat().st_size / MB:>6.0f} MB {unpacked:>10,} {row * 1e3:>6.1f} ms {prefix * 1e3:>6.1f} ms"
                  f" {over:>5.2f}x {whole * 1e3:>6.0f} ms {under:>6.0f}x {peak / MB:>5.1f} MB  {'over' if bad else 'PASS'}")
            archive.unlink()
    print(f"targets: row <= {MOST_OF_PREFIX}x prefix, whole >= {LEAST_OF_WHOLE}x row")
    return failed


if __name__ == "__main__":
    sys.exit(main())
