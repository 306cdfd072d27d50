//! A log file: whole lines go in, and it is set aside when it has grown too large.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A log file that is being written.
pub struct Sink {
    path: PathBuf,
    file: Option<File>,
    size: u64,
    max_size: u64,
    retain: u32,
    /// Lines that were lost, as they could not be written.
    pub dropped: u64,
}

impl Sink {
    /// Opens, or begins, the file; folders that are missing are made.
    pub fn open(path: &Path, max_size: u64, retain: u32) -> io::Result<Sink> {
        let mut sink = Sink { path: path.to_owned(), file: None, size: 0, max_size, retain, dropped: 0 };
        sink.reopen()?;
        Ok(sink)
    }

    /// Opens the file anew under its name: it may have been moved away.
    pub fn reopen(&mut self) -> io::Result<()> {
        self.file = None;
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = File::options().append(true).create(true).mode(0o600).open(&self.path)?;
        self.size = file.metadata()?.len();
        self.file = Some(file);
        Ok(())
    }

    /// Empties it.
    pub fn flush(&mut self) -> io::Result<()> {
        if let Some(file) = &self.file {
            file.set_len(0)?;
        }
        self.size = 0;
        Ok(())
    }

    /// Writes whole lines. What cannot be written is counted, and said in the log as soon as it can be.
    pub fn write(&mut self, lines: &[u8]) {
        if self.max_size > 0 && self.size > 0 && self.size + lines.len() as u64 > self.max_size {
            // A name that cannot be changed is no reason to lose lines.
            let _ = self.rotate();
        }
        if self.dropped > 0 {
            let text = format!("[rcluster] {} lines could not be written\n", self.dropped);
            if self.write_all(text.as_bytes()).is_ok() {
                self.dropped = 0;
            }
        }
        if self.write_all(lines).is_err() {
            self.dropped += lines.iter().filter(|byte| **byte == b'\n').count() as u64;
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.file.is_none() {
            self.reopen()?;
        }
        let Some(file) = &mut self.file else { return Err(io::Error::from(io::ErrorKind::NotFound)) };
        file.write_all(bytes)?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// `app.log` becomes `app.log.1`, that `app.log.2`, and so on; the oldest goes.
    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..self.retain).rev() {
            let from = self.numbered(number);
            if from.exists() {
                fs::rename(from, self.numbered(number + 1))?;
            }
        }
        match self.retain {
            0 => self.flush(),
            _ => fs::rename(&self.path, self.numbered(1)).and_then(|()| self.reopen()),
        }
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_has_grown_is_set_aside_and_nothing_is_lost() {
        let folder = std::env::temp_dir().join(format!("rclusterd-sink-{}", std::process::id()));
        let path = folder.join("deep/app.log");
        let mut sink = Sink::open(&path, 10, 2).unwrap();
        for line in ["one two\n", "three\n", "four\n", "five six\n"] {
            sink.write(line.as_bytes());
        }
        let read = |name: &str| fs::read_to_string(folder.join("deep").join(name)).unwrap();
        assert_eq!(
            (read("app.log"), read("app.log.1"), read("app.log.2")),
            ("five six\n".into(), "four\n".into(), "three\n".into())
        );
        fs::remove_dir_all(&folder).unwrap();
        // The folder was deleted: the open file takes what comes, and a new one is made by name.
        sink.reopen().unwrap();
        sink.write(b"again\n");
        assert_eq!(read("app.log"), "again\n");
        fs::remove_dir_all(&folder).unwrap();
    }
}
