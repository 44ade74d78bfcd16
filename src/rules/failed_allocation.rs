//! Whether the process died because an allocation failed, and how much was
//! asked for.

use super::Facts;
use super::common::is_windows;
use crate::crash::thrown_types;
use crate::dump::Exception;

/// An allocation that failed, and took the process with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    /// What says so.
    pub(super) what: &'static str,
    /// Bytes that were asked for, where it is recorded.
    pub(super) size: Option<u64>,
    /// Whether the code is that of the commit limit.
    pub(super) commit_limit: bool,
}

pub(super) fn failed_allocation(facts: Facts<'_>) -> Option<Failed> {
    let exception = facts.dump.exception.as_ref()?;
    if !is_windows(facts) || !exception.is_crash {
        return None;
    }
    by_code(exception).or_else(|| bad_alloc(facts, exception)).or_else(|| annotated(facts))
}

fn by_code(exception: &Exception) -> Option<Failed> {
    let first = exception.parameters.first().copied();
    let of = |what, size| Some(Failed { what, size, commit_limit: false });
    match exception.code {
        // Chromium, Electron and what is built on them: the size follows.
        0xe000_0008 => of("exception 0xe0000008, Chromium's out of memory", first),
        // RtlAllocateHeap with HEAP_GENERATE_EXCEPTIONS gives the size alone.
        0xc000_0017 => of("STATUS_NO_MEMORY", first.filter(|_| exception.parameters.len() == 1)),
        0xc000_012d => {
            Some(Failed { what: "STATUS_COMMITMENT_LIMIT", size: None, commit_limit: true })
        }
        // .NET: the first parameter is the HRESULT.
        0xe043_4352 | 0xe043_4f4d if first.map(|code| code & 0xffff_ffff) == Some(0x8007_000e) => {
            of(".NET's OutOfMemoryException", None)
        }
        _ => None,
    }
}

/// A C++ exception that is a std::bad_alloc, or has it among its bases.
fn bad_alloc(facts: Facts<'_>, exception: &Exception) -> Option<Failed> {
    let types = thrown_types(facts.dump, exception);
    let failed = Failed { what: "C++ exception std::bad_alloc", size: None, commit_limit: false };
    types.iter().any(|name| name == "std::bad_alloc").then_some(failed)
}

/// Firefox notes the size before it gives up.
fn annotated(facts: Facts<'_>) -> Option<Failed> {
    let mut annotations = facts.dump.notes.annotations.iter();
    let noted = annotations.find(|annotation| annotation.key == "OOMAllocationSize")?;
    let size: u64 = noted.value.trim().parse().ok()?;
    let what = "annotation OOMAllocationSize";
    (size > 0).then_some(Failed { what, size: Some(size), commit_limit: false })
}
