//! Dumps in archives: made here in every format, then damaged, and made to lie.

#[cfg(feature = "archives")]
#[path = "../support/mod.rs"]
mod support;

#[cfg(feature = "archives")]
mod corpus;
#[cfg(feature = "archives")]
mod formats;
#[cfg(feature = "archives")]
mod hostile;
#[cfg(feature = "archives")]
mod pack;
#[cfg(feature = "archives")]
mod program;

/// Without the feature an archive is refused, and the refusal says who reads it.
#[test]
#[cfg(not(feature = "archives"))]
fn an_archive_is_refused() {
    let source = dumpmap::source::Source::from_bytes(b"PK\x03\x04".as_slice());
    let error = dumpmap::analyze(&source, &dumpmap::limits::Limits::default()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("a .zip file") && text.contains("`archives`"), "{text}");
}
