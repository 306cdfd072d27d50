//! A worker's board, looked at from outside.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};

use crate::board_layout::{Figures, MAGIC, Word};

/// Bytes of a board, and of the part of it that means something.
const PAGE: u64 = 4096;
const READ: usize = 1024;

/// A descriptor that has been found to be a board.
pub struct Board(File);

impl Board {
    /// Whoever sent it may have sent anything: a page of memory that cannot shrink is taken, of the version that we know. Reading of a pipe,
    /// a terminal or somebody's file system could take for ever.
    pub fn open(fd: OwnedFd) -> io::Result<Board> {
        let seals = SealFlag::from_bits_truncate(fcntl(&fd, FcntlArg::F_GET_SEALS)?);
        let file = File::from(fd);
        let board = Board(file);
        let is_page = seals.contains(SealFlag::F_SEAL_SHRINK) && board.0.metadata()?.len() == PAGE;
        if !is_page || word(&board.bytes()?, Word::Magic as usize) != MAGIC {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        Ok(board)
    }

    /// Read and not mapped: one system call for hundreds of bytes, and no way in which memory that is another's could harm us.
    fn bytes(&self) -> io::Result<[u8; READ]> {
        let mut bytes = [0; READ];
        self.0.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    /// What it says now.
    pub fn figures(&self) -> Option<Figures> {
        let bytes = self.bytes().ok()?;
        Some(Figures::read(|index| word(&bytes, index)))
    }
}

fn word(bytes: &[u8], index: usize) -> u64 {
    let bytes = bytes.get(index * 8..index * 8 + 8).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u64::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::memfd::{MFdFlags, memfd_create};

    fn memory(bytes: usize, seal: bool, magic: u64) -> OwnedFd {
        let fd = memfd_create(c"x", MFdFlags::MFD_ALLOW_SEALING).unwrap();
        let mut content = vec![0; bytes];
        content[..8].copy_from_slice(&magic.to_ne_bytes());
        content[40..48].copy_from_slice(&3_u64.to_ne_bytes());
        let file = File::from(fd);
        file.write_all_at(&content, 0).unwrap();
        if seal {
            fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK)).unwrap();
        }
        file.into()
    }

    #[test]
    fn only_a_sealed_page_of_our_version_is_a_board() {
        let board = Board::open(memory(4096, true, MAGIC)).unwrap();
        assert_eq!(board.figures().map(|figures| figures.total), Some(3));
        for fd in [memory(4096, false, MAGIC), memory(4096, true, MAGIC - 1), memory(8192, true, MAGIC)] {
            assert!(Board::open(fd).is_err());
        }
        let (pipe, _end) = nix::unistd::pipe().unwrap();
        for fd in [pipe, File::open("/dev/zero").unwrap().into(), File::open("/proc/self/stat").unwrap().into()] {
            assert!(Board::open(fd).is_err());
        }
    }
}
