"""What the benchmarks share: where things lie, how they are built and measured."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

BENCHES = Path(__file__).resolve().parent
ROOT = BENCHES.parent
MB = 1 << 20


def fail(why):
    sys.exit(f"{Path(sys.argv[0]).name}: {why}")


def shared(folder):
    """A folder of the data beside the project; DUMPMAP_SHARED names another parent."""
    parent = Path(os.environ.get("DUMPMAP_SHARED", ROOT / ".." / "shared"))
    found = (parent / folder).resolve()
    if not found.is_dir():
        fail(f"no folder {found} (set DUMPMAP_SHARED)")
    return found


def target_dir():
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()


def data_dir():
    made = target_dir() / "bench-data"
    made.mkdir(parents=True, exist_ok=True)
    return made


def build(manifest, binary, target, *options):
    """Builds a package in release mode and returns the path of its binary."""
    command = ["cargo", "build", "--release", "--quiet", "--manifest-path", str(manifest), *options]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target)}
    if subprocess.run(command, env=environment).returncode:
        fail(f"cannot build {binary}: {' '.join(command)}")
    return target / "release" / binary


def build_dumpmap(*options):
    return build(ROOT / "Cargo.toml", "dumpmap", target_dir(), "--bin", "dumpmap", *options)


def build_limit(name="limit", *options):
    """The floor: the least that reading a dump costs."""
    # A copy: the shared folder may be read-only, and keeps its own lock file out of ours.
    copy = target_dir() / "limit"
    (copy / "src").mkdir(parents=True, exist_ok=True)
    for source in ("Cargo.toml", "src"):
        source = shared("bench") / "limit" / source
        if source.is_dir():
            shutil.copytree(source, copy / source.name, dirs_exist_ok=True, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(source, copy / source.name)
    return build(copy / "Cargo.toml", name, copy / "target", *options)


def make_dump(script, *arguments):
    """Runs a generator of the shared bench folder."""
    command = [sys.executable, str(shared("bench") / script), *map(str, arguments)]
    if subprocess.run(command, stdout=subprocess.DEVNULL).returncode:
        fail(f"{script} failed")


@dataclass
class Run:
    cpu: float = 0.0
    peak: int = 0
    code: int = -1
    signal: int = 0
    hung: bool = False
    stdout: str = ""
    stderr: str = ""


class Measure:
    """Runs commands one at a time through `measure`, which sees their true peak memory."""

    def __init__(self):
        manifest = BENCHES / "measure" / "Cargo.toml"
        self.wrapper = build(manifest, "measure", target_dir() / "measure")
        floor = self(["true"]).peak
        if floor > 4 * MB:
            print(f"warning: `true` peaks at {floor / MB:.1f} MB: peaks are too high by that", file=sys.stderr)

    def __call__(self, command, timeout=None, data_limit=0, keep_stdout=False):
        read, write = os.pipe()
        child = subprocess.Popen(
            [self.wrapper, str(write), str(data_limit), *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if keep_stdout else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=[write],
            start_new_session=True,
        )
        os.close(write)
        run = Run()
        try:
            stdout, stderr = child.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            # The session is the wrapper and the command it runs, both started here.
            os.killpg(child.pid, signal.SIGKILL)
            stdout, stderr = child.communicate()
            run.hung = True
        with os.fdopen(read) as pipe:
            line = pipe.readline()
        if line:
            run = Run(**json.loads(line))
        elif not run.hung:
            fail(f"cannot run {' '.join(map(str, command))}")
        run.stdout = (stdout or b"").decode(errors="replace")
        run.stderr = stderr.decode(errors="replace")
        return run
