//! `images`: one row an image, with its sections.

use std::borrow::Cow;

use serde::Serialize;

use super::{DumpView, Hex, Input, Lazy, SCHEMA_VERSION};
use crate::evidence::images::{Image, Section};

/// The document of `images`.
#[derive(Debug, Serialize)]
pub struct ImagesReport<'a> {
    /// Version of the document.
    pub schema_version: &'static str,
    /// The dump.
    pub dump: DumpView<'a>,
    /// Those of the module list in its order, then those that it lacks.
    pub images: Lazy<'a, ImageView<'a>>,
    /// PE files in memory that are not images: mapped as data, or by hand.
    pub not_images: Vec<NotImageView<'a>>,
    /// Modules that were there once.
    pub unloaded: Lazy<'a, UnloadedView<'a>>,
    /// What a line below the table says.
    #[serde(skip)]
    pub sums: ImageSums,
}

/// The images taken together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImageSums {
    /// Bytes.
    pub size: u64,
    /// How many are not in the module list.
    pub unlisted: u64,
    /// How many of the module list have no memory in the map.
    pub unmapped: u64,
}

/// One image.
#[derive(Clone, Debug, Serialize)]
pub struct ImageView<'a> {
    /// Where it is.
    pub base: Hex,
    /// One past the last byte.
    pub end: Hex,
    /// Bytes.
    pub size: u64,
    /// Path; null when nothing names it.
    pub path: Option<Cow<'a, str>>,
    /// Who gave the path.
    pub named_by: Option<&'static str>,
    /// Whether the module list has it.
    pub listed: bool,
    /// Whether the map has memory at its base.
    pub mapped: bool,
    /// File version.
    pub version: Option<String>,
    /// Debug id for symbol servers.
    pub debug_id: Option<String>,
    /// File name of the PDB.
    pub debug_file: Option<Cow<'a, str>>,
    /// TimeDateStamp.
    pub timestamp: Option<u32>,
    /// CheckSum.
    pub checksum: Option<u32>,
    /// Whether the sections come from the image's header in memory.
    pub has_header: bool,
    /// Sections, or runs of one protection where there is no header.
    pub sections: Vec<SectionView>,
}

/// One section.
#[derive(Clone, Debug, Serialize)]
pub struct SectionView {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub base: Hex,
    /// Bytes.
    pub size: u64,
    /// PAGE_* names.
    pub protect: Option<String>,
}

/// A PE file in memory that the image loader did not load.
#[derive(Clone, Debug, Serialize)]
pub struct NotImageView<'a> {
    /// Where it is.
    pub base: Hex,
    /// Bytes of its allocation.
    pub size: u64,
    /// `mapped`: a view of the file; `private`: executable memory, as manual
    /// mapping makes.
    #[serde(rename = "type")]
    pub memory_type: &'static str,
    /// What it calls itself.
    pub name: Option<Cow<'a, str>>,
    /// TimeDateStamp.
    pub timestamp: u32,
}

/// A module that was unloaded.
#[derive(Clone, Debug, Serialize)]
pub struct UnloadedView<'a> {
    /// Where it was.
    pub base: Hex,
    /// Bytes.
    pub size: u64,
    /// Its file name.
    pub path: Cow<'a, str>,
    /// TimeDateStamp.
    pub timestamp: u32,
    /// CheckSum.
    pub checksum: u32,
}

impl<'a> ImagesReport<'a> {
    /// The document for one analysis.
    pub fn of(input: &Input<'a>) -> ImagesReport<'a> {
        let (analysis, input) = (input.analysis, *input);
        ImagesReport {
            schema_version: SCHEMA_VERSION,
            dump: DumpView::of(&input),
            images: Lazy::of(&analysis.evidence.images, move |image| view(&input, image)),
            not_images: analysis
                .evidence
                .data_images
                .iter()
                .map(|image| NotImageView {
                    base: input.hex(image.range.start()),
                    size: image.range.size(),
                    memory_type: image.memory_type.as_str(),
                    name: (!image.name.is_empty()).then(|| input.text(&image.name)),
                    timestamp: image.header.timestamp,
                })
                .collect(),
            unloaded: Lazy::of(&analysis.dump.unloaded_modules, move |module| UnloadedView {
                base: input.hex(module.base),
                size: u64::from(module.size),
                path: input.text(&module.path),
                timestamp: module.timestamp,
                checksum: module.checksum,
            }),
            sums: sums(&analysis.evidence.images),
        }
    }
}

fn sums(images: &[Image]) -> ImageSums {
    images.iter().fold(ImageSums::default(), |sums, image| ImageSums {
        size: sums.size.saturating_add(image.range.size()),
        unlisted: sums.unlisted + u64::from(image.module.is_none()),
        unmapped: sums.unmapped + u64::from(image.module.is_some() && !image.mapped),
    })
}

fn view<'a>(input: &Input<'a>, image: &'a Image) -> ImageView<'a> {
    let modules = &input.analysis.dump.modules.modules;
    let module = image.module.and_then(|at| modules.get(at as usize));
    let header = image.header;
    ImageView {
        base: input.hex(image.range.start()),
        end: input.hex(image.range.end()),
        size: image.range.size(),
        path: (!image.path.is_empty()).then(|| input.text(&image.path)),
        named_by: image.named_by.map(|source| source.as_str()),
        listed: image.module.is_some(),
        mapped: image.mapped,
        version: module
            .and_then(|module| module.version)
            .map(|(major, minor, build, patch)| format!("{major}.{minor}.{build}.{patch}")),
        debug_id: module.and_then(|module| module.debug_id.as_ref()).map(ToString::to_string),
        debug_file: module
            .and_then(|module| module.debug_file.as_deref())
            .map(|file| input.text(file)),
        timestamp: module.map(|module| module.timestamp).or(header.map(|header| header.timestamp)),
        checksum: module.map(|module| module.checksum).or(header.map(|header| header.checksum)),
        has_header: image.has_header,
        sections: image.sections.iter().map(|section| section_view(input, section)).collect(),
    }
}

fn section_view(input: &Input<'_>, section: &Section) -> SectionView {
    let maps = input.analysis.dump.linux.maps.as_ref();
    let linux_name = |line: u32| {
        maps.and_then(|maps| maps.maps.get(line as usize)).map_or("", |map| map.name.as_str())
    };
    let name = section.usage.text(linux_name);
    let protect = section.protect;
    SectionView {
        name: input.owned(name.strip_prefix("section ").unwrap_or(&name).to_owned()),
        base: input.hex(section.range.start()),
        size: section.range.size(),
        protect: (protect.0 != 0).then(|| protect.name()),
    }
}
