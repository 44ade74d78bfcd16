//! `measure FD DATA_LIMIT COMMAND ARGS…`: runs the command with its own stdin, stdout and
//! stderr, then writes `{"cpu": s, "peak": bytes, "code": n, "signal": n}` to FD.
//!
//! Linux counts the memory of a process before `exec` into its `ru_maxrss`, so a child of a
//! Python interpreter never peaks under Python's own 10 MB. The child of this small program does.
//!
//! DATA_LIMIT bounds the child's private memory in bytes; 0 is no bound.

use std::fs::File;
use std::io::Write;
use std::mem::MaybeUninit;
use std::os::fd::FromRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let mut number = || args.next()?.to_str()?.parse::<i64>().ok();
    let (Some(fd), Some(data_limit)) = (number(), number()) else {
        eprintln!("usage: measure FD DATA_LIMIT COMMAND ARGS...");
        return ExitCode::from(125);
    };
    let Some(program) = args.next() else { return ExitCode::from(125) };
    let mut command = Command::new(program);
    command.args(args);
    if data_limit > 0 {
        let bytes = data_limit as libc::rlim_t;
        let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
        // SAFETY: setrlimit is async-signal-safe and gets a valid struct.
        unsafe {
            command.pre_exec(move || match libc::setrlimit(libc::RLIMIT_DATA, &limit) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
    }
    let child = match command.spawn() {
        Ok(child) => child,
        Err(e) => {
            eprintln!("measure: {e}");
            return ExitCode::from(126);
        }
    };

    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the child is ours and not waited for; both pointers are valid.
    let usage = unsafe {
        if libc::wait4(child.id() as libc::pid_t, &mut status, 0, usage.as_mut_ptr()) < 0 {
            return ExitCode::from(124);
        }
        usage.assume_init()
    };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    let cpu = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    let peak = usage.ru_maxrss * unit;
    let (code, signal) = if libc::WIFSIGNALED(status) {
        (-1, libc::WTERMSIG(status))
    } else {
        (libc::WEXITSTATUS(status), 0)
    };
    // SAFETY: the caller gave us this descriptor to write to.
    let mut out = unsafe { File::from_raw_fd(fd as i32) };
    let written = writeln!(
        out,
        "{{\"cpu\": {cpu:.6}, \"peak\": {peak}, \"code\": {code}, \"signal\": {signal}}}"
    );
    ExitCode::from(if written.is_ok() { 0 } else { 124 })
}
