#!/usr/bin/env python3
"""Dumps whose cost could grow faster than their size. Each family takes a count: what it costs
at twice the count says whether the work is linear. The big ones are made, never stored.

usage: mkhostile.py FAMILY COUNT OUT
"""

import struct
import sys

PAGE = 0x1000
COMMIT, RW, WC, PRIVATE, IMAGE = 0x1000, 4, 8, 0x20000, 0x1000000
THREADS, MODULES, MEMORY, SYSTEM, HANDLES, MEMORY64, UNLOADED, INFO, NAMES = 3, 4, 5, 7, 12, 9, 14, 16, 24
LINUX_MAPS = 0x47670009
BASE = 0x10000000000


class Dump:
    def __init__(self):
        self.bytes = bytearray(32 + 12 * 8)
        self.streams = []
        version = self.put(struct.pack("<I", 0) + b"\0\0")
        self.stream(SYSTEM, struct.pack("<HHHBBIIIIIHH", 9, 6, 0, 1, 1, 10, 0, 19045, 2, version, 0, 0) + b"\0" * 24)

    def put(self, data):
        self.bytes += b"\0" * (-len(self.bytes) % 8)
        at = len(self.bytes)
        self.bytes += data
        return at

    def string(self, text):
        encoded = text.encode("utf-16le")
        return self.put(struct.pack("<I", len(encoded)) + encoded + b"\0\0")

    def stream(self, kind, data):
        self.streams.append((kind, len(data), self.put(data)))

    def write(self, path):
        struct.pack_into("<4sIIIIIQ", self.bytes, 0, b"MDMP", 0xA793, len(self.streams), 32, 0, 0, 0)
        for nth, entry in enumerate(self.streams):
            struct.pack_into("<III", self.bytes, 32 + 12 * nth, *entry)
        with open(path, "wb") as out:
            out.write(self.bytes)


def module(base, size, name):
    return struct.pack("<QIIII", base, size, 0, 1, name) + b"\0" * 84


def module_list(dump, modules):
    dump.stream(MODULES, struct.pack("<I", len(modules)) + b"".join(module(*m) for m in modules))


def region(base, size, state=COMMIT, protect=RW, kind=PRIVATE, allocation=None):
    return struct.pack("<QQIIQIIII", base, base if allocation is None else allocation, protect, 0, size, state,
                       protect, kind, 0)


def region_list(dump, regions):
    dump.stream(INFO, struct.pack("<IIQ", 16, 48, len(regions)) + b"".join(regions))


def names(dump, count):
    return [dump.string(f"C:\\m{nth}.dll") for nth in range(count)]


def modules_nested(dump, count):
    """Each module lies in all that come before it."""
    module_list(dump, [(BASE + nth * PAGE, (2 * count - nth) * PAGE, name)
                       for nth, name in enumerate(names(dump, count))])


def modules_staggered(dump, count):
    """All modules overlap each other and none lies in another."""
    module_list(dump, [(BASE + nth * PAGE, count * PAGE, name) for nth, name in enumerate(names(dump, count))])


def modules_same(dump, count):
    """Every module claims the same range."""
    module_list(dump, [(BASE, 0x10000000, name) for name in names(dump, count)])


def modules_over_regions(dump, count):
    """Staggered modules over as many image regions."""
    modules_staggered(dump, count)
    region_list(dump, [region(BASE + nth * PAGE, PAGE, COMMIT, WC, IMAGE, BASE) for nth in range(count)])


def modules_one_name(dump, count):
    """Every module shares one name of 32,767 characters: a small file that unfolds to gigabytes."""
    name = dump.string("\u4e00" * 32767)
    module_list(dump, [(BASE + nth * 0x10000, 0x10000, name) for nth in range(count)])


def modules_bad(dump, count):
    """Every module is bad: its name lies outside the file."""
    module_list(dump, [(BASE + nth * 0x10000, 0x10000, 0x7FFFFFF0) for nth in range(count)])


def unloaded_same(dump, count):
    name = dump.string("gone.dll")
    entry = struct.pack("<QIIII", BASE, 0x10000000, 0, 0, name)
    dump.stream(UNLOADED, struct.pack("<III", 12, 24, count) + entry * count)


def info_bad(dump, count):
    """Every entry is bad, in one of four ways."""
    kinds = [
        lambda at: region(at, PAGE, state=0),
        lambda at: region(at, 0),
        lambda at: region(0xFFFFFFFFFFFFF000, 0x2000),
        lambda at: region(at, 0xFFFFFFFFFFFFFFFF),
    ]
    region_list(dump, [kinds[nth % 4](BASE + nth * PAGE) for nth in range(count)])


def info_staggered(dump, count):
    """All regions overlap each other."""
    region_list(dump, [region(BASE + nth * PAGE, count * PAGE) for nth in range(count)])


def info_nested(dump, count):
    """Each region lies in the one before it."""
    region_list(dump, [region(BASE + nth * PAGE, (2 * count - 2 * nth) * PAGE) for nth in range(count)])


def info_backwards(dump, count):
    """Good regions, highest address first."""
    region_list(dump, [region(BASE + nth * PAGE, PAGE) for nth in reversed(range(count))])


def info_one_allocation(dump, count):
    """Every region names one allocation base, and every second one is free."""
    region_list(dump, [region(BASE + nth * PAGE, PAGE, (COMMIT, 0x10000)[nth % 2], RW, PRIVATE, BASE)
                       for nth in range(count)])


def threads_same(dump, count):
    """Every thread has the same number, TEB, stack and name."""
    thread = struct.pack("<IIIIQQIIII", 7, 0, 0, 0, BASE, BASE + PAGE, 0x8000, 0, 0, 0)
    dump.stream(THREADS, struct.pack("<I", count) + thread * count)
    name = dump.string("worker")
    dump.stream(NAMES, struct.pack("<I", count) + struct.pack("<IQ", 7, name) * count)
    region_list(dump, [region(BASE, 0x100000)])


def memory_staggered(dump, count):
    """Captured ranges that all overlap each other."""
    at = dump.put(b"\0" * PAGE * 16)
    ranges = [struct.pack("<QII", BASE + nth, PAGE * 15, at) for nth in range(count)]
    dump.stream(MEMORY, struct.pack("<I", count) + b"".join(ranges))


def memory64_past_end(dump, count):
    """Captured ranges, each larger than the file."""
    ranges = [struct.pack("<QQ", BASE + (nth << 33), 1 << 32) for nth in range(count)]
    dump.stream(MEMORY64, struct.pack("<QQ", count, 4096) + b"".join(ranges))


def handles_shared(dump, count):
    """Every handle's chain of object information is the same long chain."""
    first = len(dump.bytes) + (-len(dump.bytes) % 8)
    links = [struct.pack("<III", first + 12 * (nth + 1), 1, 0) for nth in range(count - 1)]
    dump.put(b"".join(links) + struct.pack("<III", 0, 1, 0))
    handle = struct.pack("<QIIIIIIII", 4, 0, 0, 0, 0, 0, 0, first, 0)
    dump.stream(HANDLES, struct.pack("<IIII", 16, 40, count, 0) + handle * count)


def maps_overlapping(dump, count):
    lines = [f"{BASE + nth * PAGE:x}-{BASE + (count + nth) * PAGE:x} rw-p 00000000 00:00 0 /f{nth}\n"
             for nth in range(count)]
    dump.stream(LINUX_MAPS, "".join(lines).encode())


def maps_bad(dump, count):
    dump.stream(LINUX_MAPS, b"no map line\n" * count)


# The count for each family: its dump is a few megabytes, or what the name says.
FAMILIES = {
    modules_nested: 100_000,
    modules_staggered: 100_000,
    modules_same: 100_000,
    modules_over_regions: 100_000,
    modules_one_name: 20_000,
    modules_bad: 100_000,
    unloaded_same: 100_000,
    info_bad: 1_000_000,
    info_staggered: 100_000,
    info_nested: 100_000,
    info_backwards: 1_000_000,
    info_one_allocation: 1_000_000,
    threads_same: 100_000,
    memory_staggered: 100_000,
    memory64_past_end: 100_000,
    handles_shared: 50_000,
    maps_overlapping: 100_000,
    maps_bad: 1_000_000,
}


def make(family, count, path):
    dump = Dump()
    family(dump, count)
    dump.write(path)


if __name__ == "__main__":
    by_name = {family.__name__: family for family in FAMILIES}
    if len(sys.argv) != 4 or sys.argv[1] not in by_name:
        sys.exit(__doc__ + "\nfamilies: " + ", ".join(by_name))
    make(by_name[sys.argv[1]], int(sys.argv[2]), sys.argv[3])
