//! Why there is no analysis at all. Damage inside a dump is an
//! [`Issue`](crate::issue::Issue), never an error.

use std::{fmt, io};

/// There is nothing to analyse: the file cannot be read, or is no minidump.
#[derive(Debug)]
pub struct Error(Kind);

#[derive(Debug)]
enum Kind {
    Io {
        what: &'static str,
        error: io::Error,
    },
    NotADump {
        what: String,
        next: &'static str,
    },
    Damaged(String),
    #[cfg(feature = "archives")]
    Archive {
        what: String,
        next: &'static str,
    },
    Internal,
    Isolated(String),
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn io(what: &'static str, error: io::Error) -> Error {
        Error(Kind::Io { what, error })
    }

    pub(crate) fn not_a_dump(what: impl Into<String>, next: &'static str) -> Error {
        Error(Kind::NotADump { what: what.into(), next })
    }

    pub(crate) fn damaged(what: impl Into<String>) -> Error {
        Error(Kind::Damaged(what.into()))
    }

    #[cfg(feature = "archives")]
    pub(crate) fn archive(what: impl Into<String>, next: &'static str) -> Error {
        Error(Kind::Archive { what: what.into(), next })
    }

    /// A mistake of ours that one dump brought to light.
    pub(crate) fn internal() -> Error {
        Error(Kind::Internal)
    }

    /// What happened to a process that read one file.
    pub fn isolated(what: impl Into<String>) -> Error {
        Error(Kind::Isolated(what.into()))
    }

    /// Whether the bytes could not be read, as opposed to not understood.
    pub fn is_io(&self) -> bool {
        matches!(self.0, Kind::Io { .. })
    }

    /// Whether the file is something else than a user-mode minidump.
    pub fn is_not_a_dump(&self) -> bool {
        matches!(self.0, Kind::NotADump { .. })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Io { what, error } => write!(f, "{what}: {error}"),
            Kind::NotADump { what, next } => write!(f, "{what}; {next}"),
            Kind::Damaged(what) | Kind::Isolated(what) => write!(f, "{what}"),
            #[cfg(feature = "archives")]
            Kind::Archive { what, next } => write!(f, "{what}; {next}"),
            Kind::Internal => f.write_str("internal error: please report it with this dump"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Kind::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}
