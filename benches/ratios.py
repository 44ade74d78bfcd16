#!/usr/bin/env python3
"""What `dumpmap` costs against the least work that can be done: ratios of CPU time.

Runs the two programs in turn, A B A B ..., so that a loaded machine disturbs both alike, and
compares each run with its neighbour. Seconds differ between machines; the ratios hold.
"""

import argparse
import json
import statistics
from dataclasses import dataclass, field
from pathlib import Path

from common import BENCHES, MB, Measure, build, build_dumpmap, build_limit, data_dir, fail, make_dump, target_dir

WARM_UPS = 2


@dataclass
class Case:
    name: str
    dump: list  # arguments of mkbig.py
    ours: list  # arguments of dumpmap, before the dump
    reference: str  # limit | limit --list | empty-clap | summaries: dumpmap, of each dump
    ratio: float = None  # CPU may be this many times the reference's
    goal: float = None  # what we would like
    peak: int = None  # bytes
    second: list = None  # arguments of mkbig.py for a second dump


MANY = ["--regions", 100_000, "--threads", 1_000, "--modules", 1_000]
BIG = ["--regions", 1_000_000, "--threads", 10_000, "--modules", 5_000]
CASES = [
    Case("start", ["--regions", 100], ["summary"], "empty-clap", ratio=1.5),
    Case("summary-100k", ["--regions", 100_000, "--threads", 1_000, "--modules", 1_000], ["summary"], "limit",
         ratio=2.0, goal=1.5),
    Case("summary-1m", BIG, ["summary"], "limit", ratio=2.0, peak=96 * MB),
    Case("summary-1m-plain", ["--regions", 1_000_000, "--threads", 4, "--modules", 8], ["summary"], "limit",
         ratio=2.0, peak=96 * MB),
    Case("summary-16gib", ["--regions", 10_000, "--gib", 16], ["summary"], "limit", peak=12 * MB),
    Case("regions-100k", ["--regions", 100_000, "--threads", 1_000, "--modules", 1_000], ["regions", "-f", "jsonl"],
         "limit --list", ratio=8.0),
    Case("diff-100k", MANY, ["diff", "--same-run"], "summaries", ratio=2.0, goal=1.5, second=MANY),
    Case("diff-100k-runs", MANY, ["diff", "--other-run"], "summaries", ratio=2.0, goal=1.5,
         second=[*MANY, "--seed", 2]),
    Case("diff-100k-all-new", MANY, ["diff", "--same-run"], "summaries", ratio=3.0, second=[*MANY, "--seed", 2]),
]


@dataclass
class Row:
    case: str
    reference: str
    cpu: float = None
    reference_cpu: float = None
    ratio: float = None
    peak: int = None
    reference_peak: int = None
    ratio_target: float = None
    ratio_goal: float = None
    peak_target: int = None
    verdict: str = ""
    runs: list = field(default_factory=list)


def dump_for(arguments):
    """The dump that mkbig.py makes of these arguments, made once and kept."""
    name = "big" + "".join(str(a) for a in arguments).replace("--", "-") + ".dmp"
    dump = data_dir() / name
    if not dump.exists():
        partial = dump.with_suffix(".part")
        make_dump("mkbig.py", partial, *arguments)
        partial.rename(dump)
    return dump


def build_reference(name):
    if name == "empty-clap":
        return build(BENCHES / "empty-clap" / "Cargo.toml", name, target_dir() / "empty-clap")
    return build_limit(name, *(["--features", "typed"] if name == "typed" else []))


def measure_case(case, programs, measure, runs):
    dumps = [dump_for(dump) for dump in (case.dump, case.second) if dump]
    program, *options = case.reference.split()
    ours = [programs["dumpmap"], *case.ours, *dumps]
    if program == "summaries":
        references = [[programs["dumpmap"], "summary", dump] for dump in dumps]
    else:
        references = [[programs[program], *options, *dumps]]
    row = Row(case.name, case.reference, ratio_target=case.ratio, ratio_goal=case.goal, peak_target=case.peak)
    for nth in range(WARM_UPS + runs):
        a, *others = runs_of_pair = [measure(command, timeout=120) for command in (ours, *references)]
        for run, command in zip(runs_of_pair, (ours, *references)):
            if run.code != 0:
                why = "timeout" if run.hung else f"signal {run.signal}" if run.signal else f"exit {run.code}"
                row.verdict = f"{Path(command[0]).name}: {why}"
                return row
        if nth >= WARM_UPS:
            row.runs.append({"cpu": a.cpu, "reference_cpu": sum(b.cpu for b in others), "peak": a.peak,
                             "reference_peak": max(b.peak for b in others)})
    of = lambda key: [run[key] for run in row.runs]
    row.cpu, row.reference_cpu = statistics.median(of("cpu")), statistics.median(of("reference_cpu"))
    row.ratio = statistics.median(run["cpu"] / max(run["reference_cpu"], 1e-6) for run in row.runs)
    row.peak, row.reference_peak = max(of("peak")), max(of("reference_peak"))
    over = [what for what, value, most in (("cpu", row.ratio, case.ratio), ("memory", row.peak, case.peak))
            if most is not None and value > most]
    met = case.goal is not None and row.ratio <= case.goal
    row.verdict = "over: " + ", ".join(over) if over else "PASS, goal met" if met else "PASS"
    return row


def line(row):
    targets = []
    if row.ratio_target:
        goal = f" (goal {row.ratio_goal})" if row.ratio_goal else ""
        targets.append(f"<= {row.ratio_target}x{goal}")
    if row.peak_target:
        targets.append(f"<= {row.peak_target // MB} MB")
    if row.ratio is None:
        numbers = f"{'-':>10} {'-':>10} {'-':>7} {'-':>9} {'-':>9}"
    else:
        numbers = (f"{row.cpu * 1e3:>7.1f} ms {row.reference_cpu * 1e3:>7.1f} ms {row.ratio:>6.2f}x "
                   f"{row.peak / MB:>6.1f} MB {row.reference_peak / MB:>6.1f} MB")
    return f"{row.case:<17} {row.reference:<13} {numbers}  {', '.join(targets):<20} {row.verdict}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", metavar="NAME", help="only this case (may be repeated): "
                        + ", ".join(case.name for case in CASES))
    parser.add_argument("--runs", type=int, default=15, help="measured pairs a case, after 2 warm-ups (15)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every run as JSON")
    parser.add_argument("--dumpmap", type=Path, metavar="PROGRAM", help="measure this program, build none")
    parser.add_argument("--typed", action="store_true",
                        help="against the same work through the `minidump` crate's typed streams, not the floor")
    options = parser.parse_args()

    unknown = set(options.case or ()) - {case.name for case in CASES}
    if unknown:
        fail(f"no case {', '.join(sorted(unknown))}")
    cases = [case for case in CASES if not options.case or case.name in options.case]
    if options.typed:
        for case in cases:
            case.reference = case.reference.replace("limit", "typed")

    measure = Measure()
    programs = {"dumpmap": options.dumpmap or build_dumpmap()}
    for name in {case.reference.split()[0] for case in cases} - {"summaries"}:
        programs[name] = build_reference(name)

    print(f"{'case':<17} {'against':<13} {'CPU':>10} {'its CPU':>10} {'ratio':>7} {'peak':>9} {'its peak':>9}  "
          f"{'target':<20} verdict")
    rows = []
    for case in cases:
        rows.append(measure_case(case, programs, measure, options.runs))
        print(line(rows[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps([vars(row) for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
