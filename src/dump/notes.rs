//! What the writer added in words. Sources: CommentA/W (10, 11, raw text),
//! CrashpadInfo (0x43500001), BreakpadInfo (0x47670001), AssertionInfo
//! (0x47670002).

/// One key and value of Crashpad's simple annotations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// As the program chose it.
    pub key: String,
    /// As the program set it. May hold user data.
    pub value: String,
}

/// Comments, annotations and who asked for the dump.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// The text of the comment streams.
    pub comment: Option<String>,
    /// Simple annotations of Crashpad, of the process and of its modules.
    pub annotations: Vec<Annotation>,
    /// The thread that wrote the dump and the one that asked for it.
    pub breakpad_threads: Option<(u32, u32)>,
    /// Expression, function and file of a failed assertion.
    pub assertion: Option<String>,
    /// Crashpad's report id, as a GUID.
    pub report_id: Option<String>,
}

pub(super) fn read(_reader: &mut super::StreamReader<'_, '_>) -> Notes {
    Notes::default()
}
