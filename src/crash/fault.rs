//! The accessed address, explained by the map.

use super::code::CodeIndex;
use super::thread::CrashThread;
use super::{Access, codes};
use crate::classify::can_hold;
use crate::dump::{Arch, Dump, Platform, PointerWidth};
use crate::evidence::{Claim, Evidence, RegionKind, Subject};
use crate::map::{MapSource, Protection, Region, RegionMap, State};

/// What the map says of the address that was accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The address.
    pub address: u64,
    /// What is there.
    pub place: Place,
    /// The region that holds it, or the gap; `None` outside the map.
    pub region: Option<Region>,
    /// The claim that says what the region is for, by index.
    pub claim: Option<u32>,
    /// The module that was there until it was unloaded, by index.
    pub unloaded: Option<u32>,
}

/// Why an access to an address fails, as far as the map tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// In the first 64 KiB, which are never mapped: a null pointer.
    Null,
    /// No address of this processor, or one that it kept to itself.
    NonCanonical,
    /// The kernel's.
    Kernel,
    /// Outside the range of the map.
    Outside,
    /// The dump has no map that says.
    Unknown,
    /// Free memory.
    Free,
    /// Reserved, without memory.
    Reserved,
    /// Pages with PAGE_GUARD.
    Guard,
    /// Pages with PAGE_NOACCESS.
    NoAccess,
    /// Pages that cannot be written, and it was written to.
    NotWritable,
    /// Pages that cannot be executed, and it was to be executed.
    NotExecutable,
    /// Pages that allow what was tried, or it is not known what was.
    Accessible,
}

impl Place {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Place::Null => "null",
            Place::NonCanonical => "non-canonical",
            Place::Kernel => "kernel",
            Place::Outside => "outside",
            Place::Unknown => "unknown",
            Place::Free => "free",
            Place::Reserved => "reserved",
            Place::Guard => "guard",
            Place::NoAccess => "no-access",
            Place::NotWritable => "not-writable",
            Place::NotExecutable => "not-executable",
            Place::Accessible => "accessible",
        }
    }
}

/// Windows maps nothing below it, and Linux' vm.mmap_min_addr is the same.
const NULL_END: u64 = 0x1_0000;

pub(super) fn of(
    dump: &Dump<'_>,
    map: &RegionMap<'_>,
    evidence: &Evidence,
    address: u64,
    access: Option<Access>,
    is_lost: bool,
) -> Fault {
    let region = map.find(address);
    let place = match (place_by_number(dump, address), region) {
        _ if is_lost => Place::NonCanonical,
        // A map that has memory there is right: some programs ask for it.
        (Some(place), Some(region)) if is_free(&region) => place,
        (Some(place), None) => place,
        (_, Some(region)) => place_in(&region, map.source, access),
        (None, None) if map.knows_free() => Place::Outside,
        (None, None) => Place::Unknown,
    };
    let claim = region.and_then(|region| winner(evidence, map, &region, address));
    let mut unloaded = (0_u32..).zip(&dump.unloaded_modules);
    let gone = unloaded.find(|(_, module)| module.range.is_some_and(|r| r.contains(address)));
    Fault { address, place, region, claim, unloaded: gone.map(|(at, _)| at) }
}

fn is_free(region: &Region) -> bool {
    matches!(region.state, State::Free | State::Unknown)
}

/// What an address is whatever the map says.
fn place_by_number(dump: &Dump<'_>, address: u64) -> Option<Place> {
    if address < NULL_END {
        return Some(Place::Null);
    }
    if dump.system.width == PointerWidth::Bits32 || dump.system.arch != Arch::Amd64 {
        return None;
    }
    // Bits 47 to 63 are equal in an address of 48 bits.
    match address >> 47 {
        0 => None,
        0x1_ffff => Some(Place::Kernel),
        _ => Some(Place::NonCanonical),
    }
}

fn place_in(region: &Region, source: MapSource, access: Option<Access>) -> Place {
    let protect = region.protect;
    match region.state {
        State::Free => Place::Free,
        State::Reserve => Place::Reserved,
        State::Unknown => Place::Unknown,
        // A rebuilt map knows no protections.
        State::Commit if source == MapSource::Rebuilt => Place::Unknown,
        State::Commit if protect.is_guard() => Place::Guard,
        State::Commit if !protect.is_readable() && !protect.is_executable() => Place::NoAccess,
        State::Commit => match access {
            Some(Access::Write) if !protect.is_writable() => Place::NotWritable,
            Some(Access::Execute) if !protect.is_executable() => Place::NotExecutable,
            _ => Place::Accessible,
        },
    }
}

/// The claim that the classification follows at an address.
fn winner(evidence: &Evidence, map: &RegionMap<'_>, region: &Region, address: u64) -> Option<u32> {
    let here = || {
        let claims = (0_u32..).zip(&evidence.claims);
        claims.filter(|(_, claim)| claim.range.contains(address))
    };
    let best_of = |kind: RegionKind| {
        here()
            .filter(|(_, claim)| claim.kind == Some(kind))
            .min_by_key(|(at, claim)| (claim.range.size(), claim.confidence, *at))
    };
    let kinds = RegionKind::ALL.into_iter().filter(|kind| can_hold(region, *kind, map.source));
    kinds
        .filter_map(best_of)
        .min_by_key(|(at, claim)| (claim.confidence, claim.range.size(), *at))
        .map(|(at, _)| at)
}

/// The sentences about a fault.
pub(super) fn explain(
    codes: &CodeIndex<'_>,
    fault: &Fault,
    access: Option<Access>,
    thread: &CrashThread,
) -> Vec<String> {
    let address = fault.address;
    let mut out = vec![sentence(codes, fault, access)];
    if let Some(module) = fault.unloaded.and_then(|at| codes.dump.unloaded_modules.get(at as usize))
    {
        let name = module.name();
        let offset = address.wrapping_sub(module.base);
        out.push(format!("{name} was there (+{offset:#x}) until it was unloaded"));
    }
    if let Some((pattern, words)) = codes::fill(address, codes.dump.system.width.bytes()) {
        let offset = address.wrapping_sub(pattern);
        let plus = if offset == 0 { String::new() } else { format!(" + {offset:#x}") };
        out.push(format!("{address:#x} is {pattern:#x}{plus}: likely {words}"));
    }
    if is_at_stack_end(fault, thread) {
        out.push("the stack pointer is within 64 KiB of it: likely a stack overflow".to_owned());
    }
    out
}

/// Whether a push may have run off the end of the stack. A heuristic: wrong
/// for wild addresses that happen to be near.
fn is_at_stack_end(fault: &Fault, thread: &CrashThread) -> bool {
    const NEAR: u64 = 0x1_0000;
    let blocked = matches!(
        fault.place,
        Place::Free | Place::Reserved | Place::Guard | Place::NoAccess | Place::NotWritable
    );
    let pointer = thread.pointers.map(|pointers| pointers.stack_pointer);
    blocked && pointer.is_some_and(|pointer| pointer.abs_diff(fault.address) <= NEAR)
}

fn sentence(codes: &CodeIndex<'_>, fault: &Fault, access: Option<Access>) -> String {
    let protect = fault.region.map_or(Protection(0), |region| region.protect);
    let owner = owner(codes, fault).map(|owner| format!(", {owner}")).unwrap_or_default();
    let protect = if codes.dump.system.platform == Platform::Windows {
        protect.name()
    } else {
        protect.words().to_lowercase()
    };
    match fault.place {
        Place::Null if fault.address == 0 => "a null pointer".into(),
        Place::Null => format!("a field at +{:#x} of a null pointer", fault.address),
        Place::NonCanonical if fault.address == u64::MAX => {
            "a general protection fault: a non-canonical address, which the registers may show"
                .into()
        }
        Place::NonCanonical => "not canonical: no memory can be at such an address".into(),
        Place::Kernel => "an address of the kernel, which programs cannot access".into(),
        Place::Outside => "outside the address range of programs".into(),
        Place::Unknown if fault.region.is_none_or(|region| region.state != State::Commit) => {
            "cannot tell what is there: the dump has no map of the address space".into()
        }
        Place::Unknown => {
            format!("memory is there{owner}, but the dump does not tell its protection")
        }
        Place::Free => "free memory: nothing is allocated there".into(),
        Place::Reserved => format!("reserved memory without pages{owner}"),
        Place::Guard => format!("a guard page{owner}"),
        Place::NoAccess => format!("pages without access{owner}"),
        Place::NotWritable => format!("pages that cannot be written ({protect}){owner}"),
        Place::NotExecutable => {
            format!("pages that cannot be executed ({protect}){owner}: data execution prevention")
        }
        Place::Accessible if access.is_none() => format!("committed memory ({protect}){owner}"),
        Place::Accessible => format!(
            "committed memory ({protect}){owner}, which allows it: it changed after the crash, or \
             the address is misaligned"
        ),
    }
}

/// Whose memory it is.
fn owner(codes: &CodeIndex<'_>, fault: &Fault) -> Option<String> {
    let claim: &Claim = codes.evidence.claims.get(fault.claim? as usize)?;
    let evidence = codes.evidence;
    let thread = |at: u32| {
        let thread = codes.dump.threads.get(at as usize)?;
        Some(format!("thread {}", thread.id))
    };
    let usage = claim.usage.text(|_| "");
    match claim.subject {
        Subject::Stack(at) => {
            let stack = evidence.stacks.get(at as usize)?;
            Some(match stack.thread.and_then(thread) {
                Some(thread) => format!("of the stack of {thread}"),
                None => "of a stack that no thread claims".into(),
            })
        }
        Subject::Heap(at) => {
            let heap = evidence.heaps.get(at as usize)?;
            Some(format!("of the heap at {:#x}", heap.address))
        }
        Subject::Image(_) => {
            let place = codes.place(fault.address);
            Some(match &place.section {
                Some(section) => format!("section {section} at {}", place.label()),
                None => format!("at {}", place.label()),
            })
        }
        Subject::LinuxMap(at) => {
            let maps = codes.dump.linux.maps.as_ref()?;
            let path = &maps.maps.get(at as usize)?.name;
            let name = path.rsplit('/').next().unwrap_or("");
            (!name.is_empty()).then(|| format!("of {name}"))
        }
        Subject::Thread(at) => Some(format!("{usage} of {}", thread(at)?)),
        _ if !usage.is_empty() => Some(usage.into_owned()),
        _ => None,
    }
}
