//! Second descriptors for what keepers have in their stores: when a keeper is killed, the next one finds its sockets, and what waits in them.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::Interest;
use tokio::net::UnixStream;

use super::link::Link;
use crate::board_layout::Figures;
use crate::keeper::{About, Whose};
use crate::say::say;
use crate::sys::board::Board;
use crate::sys::received::{receive, room_for_descriptors};

/// Bytes of one read.
const CHUNK: usize = 4096;
/// How long until we begin anew with a keeper that has given us up.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a keeper that has closed one connection may take to close the other.
const MOMENT: Duration = Duration::from_millis(100);

/// What one keeper has told us, by its numbers.
#[derive(Default)]
struct Told {
    kept: RefCell<BTreeMap<u32, (About, OwnedFd)>>,
    /// Boards of workers: of those that are none nothing is left.
    boards: RefCell<BTreeMap<u32, (Whose, Board)>>,
}

impl Told {
    fn clear(&self) {
        self.kept.borrow_mut().clear();
        self.boards.borrow_mut().clear();
    }
}

/// All of them, by the key of the app.
#[derive(Default)]
pub struct Copies {
    told: Rc<RefCell<Tellers>>,
}

type Tellers = BTreeMap<String, Rc<Told>>;

/// Whether another one may be kept: half of what the daemon may have open is for whoever asks it.
fn has_room(all: &RefCell<Tellers>) -> bool {
    let kept: usize = all.borrow().values().map(|told| told.kept.borrow().len() + told.boards.borrow().len()).sum();
    kept < room_for_descriptors() / 2
}

/// A line of a keeper's.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Kept { number: u32, about: About },
    Gone { gone: u32 },
}

impl Copies {
    /// Follows what a keeper has, as long as it is there. No connection is made to one that has nothing.
    pub fn follow(&self, key: &str, folder: PathBuf, link: &Rc<Link>) {
        let told = Rc::new(Told::default());
        self.told.borrow_mut().insert(key.to_owned(), Rc::clone(&told));
        let (link, keeps, all) = (Rc::downgrade(link), link.keeps(), Rc::clone(&self.told));
        tokio::task::spawn_local(async move {
            if !keeps.await {
                return;
            }
            loop {
                // Whatever ends it: when the keeper has gone, what it had is what the next one gets.
                let _ = listen(&folder.join("keeper.sock"), &told, || has_room(&all)).await;
                tokio::time::sleep(MOMENT).await;
                if link.upgrade().is_none_or(|link| link.is_gone()) {
                    return;
                }
                told.clear();
                tokio::time::sleep(AGAIN).await;
            }
        });
    }

    /// What an app's keeper had, for the next one.
    pub fn of(&self, key: &str) -> Vec<(About, OwnedFd)> {
        let told = self.told.borrow().get(key).cloned();
        let Some(told) = told else { return Vec::new() };
        let told = told.kept.borrow();
        told.values().filter_map(|(about, fd)| Some((about.clone(), fd.try_clone().ok()?))).collect()
    }

    /// What the boards of its workers say now.
    pub fn figures(&self, key: &str) -> Vec<(Whose, Figures)> {
        let told = self.told.borrow().get(key).cloned();
        let Some(told) = told else { return Vec::new() };
        let boards = told.boards.borrow();
        boards.values().filter_map(|(whose, board)| Some((*whose, board.figures()?))).collect()
    }

    /// The app is no more.
    pub fn forget(&self, key: &str) {
        if let Some(told) = self.told.borrow_mut().remove(key) {
            told.clear();
        }
    }
}

async fn listen(path: &std::path::Path, told: &Told, has_room: impl Fn() -> bool) -> io::Result<()> {
    let stream = UnixStream::connect(path).await?;
    let asked = b"{\"id\":0,\"op\":\"guard\"}\n";
    if stream.try_write(asked)? < asked.len() {
        return Err(io::Error::from(io::ErrorKind::WriteZero));
    }
    let (mut text, mut fds, mut has_told) = (Vec::new(), VecDeque::new(), false);
    loop {
        stream.readable().await?;
        // Not kept while nothing comes.
        let mut chunk = [0; CHUNK];
        let read = || receive(stream.as_fd(), &mut chunk);
        let received = match stream.try_io(Interest::READABLE, read) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            other => other?,
        };
        if received.bytes == 0 {
            return Ok(());
        }
        text.extend_from_slice(&chunk[..received.bytes]);
        // One comes with each line: where there was no room for it, there is none for this line.
        let lost = received.lost_fds.then_some(None);
        fds.extend(received.fds.into_iter().map(Some).chain(lost));
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            match serde_json::from_slice(&line) {
                Ok(Line::Kept { number, about }) => {
                    let fd = fds.pop_front().ok_or(io::ErrorKind::InvalidData)?;
                    // A keeper that is killed takes it along: that is better than a daemon that can open nothing any more.
                    let Some(fd) = fd.filter(|_| has_room()) else {
                        if !std::mem::replace(&mut has_told, true) {
                            say(&format!(
                                "rclusterd: {}: there is no room for second descriptors (see \"ulimit -n\")",
                                path.display()
                            ));
                        }
                        continue;
                    };
                    match about.board {
                        None => drop(told.kept.borrow_mut().insert(number, (about, fd))),
                        // One that is none, or of another version, is no reason to give up the rest.
                        Some(whose) => {
                            if let Ok(board) = Board::open(fd) {
                                told.boards.borrow_mut().insert(number, (whose, board));
                            }
                        }
                    }
                }
                Ok(Line::Gone { gone }) => {
                    told.kept.borrow_mut().remove(&gone);
                    told.boards.borrow_mut().remove(&gone);
                }
                Err(_) => return Err(io::Error::from(io::ErrorKind::InvalidData)),
            }
        }
    }
}
