//! Colours: VMMap's palette for kinds, the terminal's own colours for the
//! rest.

use anstyle::{AnsiColor, RgbColor, Style};

use crate::evidence::RegionKind;
use crate::rules::Severity;

/// Whether a report has colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// Text only.
    Plain,
    /// ANSI escapes.
    Colour,
}

impl Paint {
    /// `text` in this style.
    pub fn paint(self, style: Style, text: &str) -> String {
        match self {
            Paint::Plain => text.to_owned(),
            Paint::Colour if style == Style::new() => text.to_owned(),
            Paint::Colour => format!("{style}{text}{style:#}"),
        }
    }
}

/// Headlines.
pub(crate) const BOLD: Style = Style::new().bold();
/// Secondary text.
pub(crate) const DIM: Style = Style::new().dimmed();
/// A sum that does not add up.
pub(crate) const ALARM: Style = AnsiColor::Red.on_default().bold();

/// The colour of a severity.
pub(crate) fn severity(severity: Severity) -> Style {
    match severity {
        Severity::Error => AnsiColor::Red.on_default().bold(),
        Severity::Warning => AnsiColor::Yellow.on_default().bold(),
        Severity::Note => AnsiColor::Cyan.on_default().bold(),
    }
}

/// VMMap's colour of a kind, with black text on it.
pub(crate) fn kind(kind: RegionKind) -> Style {
    RgbColor(0, 0, 0).on(colour(kind))
}

/// VMMap's colour of a kind.
pub(crate) fn colour(kind: RegionKind) -> RgbColor {
    match kind {
        RegionKind::Image => RgbColor(0xd2, 0xa0, 0xff),
        RegionKind::MappedFile => RgbColor(0xb0, 0xd7, 0xff),
        RegionKind::Shareable | RegionKind::Mapped => RgbColor(0xdd, 0xee, 0xff),
        RegionKind::Heap => RgbColor(0xff, 0x96, 0x64),
        RegionKind::ManagedHeap => RgbColor(0xd4, 0xe2, 0x7a),
        RegionKind::Stack => RgbColor(0xff, 0xc0, 0x80),
        RegionKind::Private => RgbColor(0xf4, 0xf4, 0x00),
        RegionKind::Unusable => RgbColor(0xa8, 0xa8, 0xa8),
        RegionKind::Unknown => RgbColor(0xd2, 0xd2, 0xd2),
        RegionKind::Free => RgbColor(0xff, 0xff, 0xff),
    }
}

/// The letter of a kind where there is no colour.
pub(crate) fn letter(kind: RegionKind) -> char {
    match kind {
        RegionKind::Image => 'I',
        RegionKind::MappedFile => 'F',
        RegionKind::Shareable => 'V',
        RegionKind::Mapped => 'M',
        RegionKind::Heap => 'H',
        RegionKind::ManagedHeap => 'N',
        RegionKind::Stack => 'S',
        RegionKind::Private => 'P',
        RegionKind::Unusable => 'u',
        RegionKind::Free => '.',
        RegionKind::Unknown => '?',
    }
}
