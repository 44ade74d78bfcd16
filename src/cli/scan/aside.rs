//! Lines that wait for their turn: the first in memory, then all in a temporary
//! file, so that memory does not follow their size.

use std::io::{self, Read, Seek, SeekFrom, Write};

use tempfile::{SpooledTempFile, spooled_tempfile};

/// Up to this many bytes stay in memory.
const IN_MEMORY: usize = 4 << 20;

/// The lines, one behind the other. The file is gone when the process is.
#[derive(Debug)]
pub(super) struct Aside {
    file: SpooledTempFile,
    len: u64,
    line: Vec<u8>,
}

/// Where one of them is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    at: u64,
    size: usize,
}

impl Aside {
    pub(super) fn new() -> Aside {
        Aside { file: spooled_tempfile(IN_MEMORY), len: 0, line: Vec::new() }
    }

    /// Puts aside what `write` writes.
    ///
    /// # Errors
    /// There is no room for it.
    pub(super) fn put(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<Place> {
        self.line.clear();
        write(&mut self.line)?;
        self.file.write_all(&self.line).map_err(no_room)?;
        let place = Place { at: self.len, size: self.line.len() };
        self.len += self.line.len() as u64;
        Ok(place)
    }

    /// What was put there.
    ///
    /// # Errors
    /// It cannot be read again.
    pub(super) fn get(&mut self, place: Place) -> io::Result<&[u8]> {
        self.line.resize(place.size, 0);
        self.file.seek(SeekFrom::Start(place.at)).map_err(no_room)?;
        self.file.read_exact(&mut self.line).map_err(no_room)?;
        Ok(&self.line)
    }
}

fn no_room(error: io::Error) -> io::Error {
    let folder = std::env::temp_dir();
    io::Error::other(format!(
        "rows cannot be kept in a temporary file in {}: {error}; set TMPDIR (TEMP on Windows) to a \
         folder with room",
        folder.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_aside_comes_back() {
        let mut aside = Aside::new();
        let line = |number: usize| format!("{number}").repeat(number % 900).into_bytes();
        let places: Vec<_> = (0..5_000)
            .map(|number| aside.put(|out| out.write_all(&line(number))).unwrap())
            .collect();
        assert!(aside.file.is_rolled(), "{} bytes are too few", aside.len);
        for (number, place) in places.into_iter().enumerate().rev() {
            assert_eq!(aside.get(place).unwrap(), line(number));
        }
    }
}
