//! What lies at an address of code, and whether code can be there at all.

use super::call;
use super::frames::Frame;
use crate::addr::AddressRange;
use crate::dump::{Dump, MemoryReader, UnloadedModule};
use crate::evidence::images::Image;
use crate::evidence::{Evidence, Use};
use crate::map::{MapSource, RegionMap, State};

/// An image, or one that was there once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Module {
    /// A row of [`Evidence::images`].
    Image(u32),
    /// An entry of the unloaded modules.
    Unloaded(u32),
}

/// Where an address of code is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodePlace {
    /// In which module.
    pub module: Option<Module>,
    /// Its file name, ` (unloaded)` behind that of one that is gone; empty
    /// for an image without a name.
    pub name: String,
    /// Bytes from the module's base; the address where there is no module.
    pub offset: u64,
    /// The section.
    pub section: Option<String>,
}

impl CodePlace {
    /// `module+0x12`, or the address.
    pub fn label(&self) -> String {
        match (self.module, self.name.as_str()) {
            (None, _) => format!("{:#x}", self.offset),
            (Some(_), "") => format!("module without a name+{:#x}", self.offset),
            (Some(_), name) => format!("{name}+{:#x}", self.offset),
        }
    }
}

/// Finds code by address.
#[derive(Debug)]
pub(super) struct CodeIndex<'a> {
    pub(super) dump: &'a Dump<'a>,
    pub(super) map: &'a RegionMap<'a>,
    pub(super) evidence: &'a Evidence,
    /// By first address.
    images: Vec<(AddressRange, u32)>,
    /// Code made at run time, by first address.
    made: Vec<(AddressRange, u32)>,
}

impl<'a> CodeIndex<'a> {
    pub(super) fn of(
        dump: &'a Dump<'_>,
        map: &'a RegionMap<'_>,
        evidence: &'a Evidence,
    ) -> CodeIndex<'a> {
        let images = sorted(evidence.images.iter().map(|image| image.range));
        let made = sorted(dump.function_tables.iter().map(|table| table.range));
        CodeIndex { dump, map, evidence, images, made }
    }

    fn image(&self, address: u64) -> Option<(u32, &'a Image)> {
        let at = find(&self.images, address)?;
        Some((at, self.evidence.images.get(usize::try_from(at).ok()?)?))
    }

    fn unloaded(&self, address: u64) -> Option<(u32, &'a UnloadedModule)> {
        let contains =
            |module: &UnloadedModule| module.range.is_some_and(|range| range.contains(address));
        let mut modules = (0_u32..).zip(&self.dump.unloaded_modules);
        modules.find(|(_, module)| contains(module))
    }

    /// What lies at an address.
    pub(super) fn place(&self, address: u64) -> CodePlace {
        if let Some((at, image)) = self.image(address) {
            let section = image.sections.iter().find(|section| section.range.contains(address));
            // Runs of one protection have a number, not a name.
            let named = section.filter(|section| !matches!(section.usage, Use::SectionRun(_)));
            let section = named.map(|section| section.usage.text(|_| "").into_owned());
            return CodePlace {
                module: Some(Module::Image(at)),
                name: image.name().to_owned(),
                offset: address.wrapping_sub(image.range.start()),
                section: section.map(|name| name.trim_start_matches("section ").to_owned()),
            };
        }
        if let Some((at, module)) = self.unloaded(address) {
            let name = module.name();
            return CodePlace {
                module: Some(Module::Unloaded(at)),
                name: format!("{name} (unloaded)"),
                offset: address.wrapping_sub(module.base),
                section: None,
            };
        }
        CodePlace { offset: address, ..CodePlace::default() }
    }

    /// Whether code can be there: the pages of a map that knows protections
    /// say so, else the section of an image, else that it is in an image.
    pub(super) fn is_code(&self, address: u64) -> bool {
        /// No image has code before it: the least alignment of sections. ELF
        /// headers lie in executable pages, and the loader's notes on the
        /// stack point to them.
        const HEADER: u64 = 0x200;
        let image = self.image(address).map(|(_, image)| image);
        if image.is_some_and(|image| address.wrapping_sub(image.range.start()) < HEADER) {
            return false;
        }
        if self.map.source != MapSource::Rebuilt {
            let region = self.map.find(address);
            let region = region.filter(|region| region.state == State::Commit);
            return region.is_some_and(|region| region.protect.is_executable());
        }
        match image {
            Some(image) if image.has_header => {
                let mut sections = image.sections.iter();
                let inside = sections.find(|section| section.range.contains(address));
                inside.is_some_and(|section| section.protect.is_executable())
            }
            Some(_) => true,
            None => find(&self.made, address).is_some(),
        }
    }

    /// Whether the instruction before an address is a call; `None` when its
    /// bytes are not captured, or the processor is not known.
    pub(super) fn follows_call(
        &self,
        address: u64,
        reader: &mut MemoryReader<'_, '_>,
    ) -> Option<bool> {
        call::ends_at(self.dump.system.arch, address, reader)
    }
}

/// Ranges by first address, with their places.
fn sorted(ranges: impl Iterator<Item = AddressRange>) -> Vec<(AddressRange, u32)> {
    let mut sorted: Vec<(AddressRange, u32)> = ranges.zip(0..).collect();
    sorted.sort_by_key(|(range, at)| (range.start(), *at));
    sorted
}

/// The place of the range that holds an address.
fn find(sorted: &[(AddressRange, u32)], address: u64) -> Option<u32> {
    /// They overlap in damaged dumps only.
    const LOOK_BACK: usize = 8;
    let after = sorted.partition_point(|(range, _)| range.start() <= address);
    let near = sorted.get(after.saturating_sub(LOOK_BACK)..after)?;
    near.iter().rev().find(|(range, _)| range.contains(address)).map(|(_, at)| *at)
}

/// Words for a crash where no code is.
pub(super) fn explain(codes: &CodeIndex<'_>, first: Option<&Frame>) -> Option<String> {
    let first = first?;
    match first.place.module {
        Some(Module::Unloaded(_)) => Some(format!(
            "the instruction pointer is in a module that was unloaded: {}",
            first.place.label()
        )),
        Some(Module::Image(_)) => None,
        None if codes.is_code(first.instruction) => Some(
            "the instruction pointer is in executable memory that belongs to no module: code made \
             at run time, or injected"
                .to_owned(),
        ),
        None => Some("the instruction pointer is in no module".to_owned()),
    }
}
