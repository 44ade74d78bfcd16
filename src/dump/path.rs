//! Paths of files in the dumped process, of any system.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A path as a dump has it. Copies share one text.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct FilePath {
    text: Arc<str>,
    /// Where its last part begins: it is asked for many times.
    name: usize,
}

impl FilePath {
    /// The part after the last `\` or `/`.
    #[inline]
    pub fn name(&self) -> &str {
        self.text.get(self.name..).unwrap_or("")
    }
}

impl From<&str> for FilePath {
    fn from(path: &str) -> FilePath {
        FilePath { name: path.len().saturating_sub(file_name(path).len()), text: path.into() }
    }
}

impl From<String> for FilePath {
    fn from(path: String) -> FilePath {
        FilePath::from(path.as_str())
    }
}

impl PartialEq<str> for FilePath {
    fn eq(&self, other: &str) -> bool {
        *self.text == *other
    }
}

impl PartialEq<&str> for FilePath {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl Deref for FilePath {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The part of a path after the last `\` or `/`, on any system.
pub fn file_name(path: &str) -> &str {
    let separator = memchr::memrchr2(b'\\', b'/', path.as_bytes());
    let after = separator.map_or(0, |at| at.saturating_add(1));
    path.get(after..).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_on_any_system() {
        for (path, name) in [
            (r"C:\Windows\ntdll.dll", "ntdll.dll"),
            ("/usr/lib/libc.so.6", "libc.so.6"),
            (r"C:\mixed/app.exe", "app.exe"),
            ("bare", "bare"),
            (r"C:\folder\", ""),
            ("", ""),
        ] {
            assert_eq!((FilePath::from(path).name(), file_name(path)), (name, name));
            assert_eq!(&*FilePath::from(path), path);
        }
    }
}
