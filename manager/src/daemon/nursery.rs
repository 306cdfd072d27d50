//! Where keepers come from: a process of ours that copies itself for each (`keeper/birth.rs`). It is there as long as somebody starts one.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use tokio::net::UnixStream;

use crate::keeper::birth::{self, Birth};
use crate::logs::console::Look;
use crate::sys::socket;
use crate::sys::spawn::{self, Program, set_nonblocking};

/// How long it is tried to send more than may be on its way at a time, as of descriptors, and how often.
const PATIENCE: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(2);
/// Characters of the longest name of a keeper's folder.
const LONGEST_NAME: usize = 255;

/// The process, as we reach it; none before it is needed, or after it has failed.
type Process = RefCell<Option<OwnedFd>>;

/// Starts keepers.
pub struct Nursery {
    /// The folder that has those of keepers.
    run: PathBuf,
    /// Where the last words of a keeper go, if they are none that it can say over its line.
    log: PathBuf,
    process: RefCell<Weak<Process>>,
}

/// Somebody who starts a keeper. As long as one is there, the process is: whoever comes meanwhile uses the same.
pub struct Turn<'a> {
    nursery: &'a Nursery,
    process: Rc<Process>,
}

impl Nursery {
    /// For keepers with folders in `run`.
    pub fn new(run: PathBuf, log: PathBuf) -> Nursery {
        Nursery { run, log, process: RefCell::default() }
    }

    /// For somebody who starts a keeper, to be held until that has answered.
    pub fn turn(&self) -> Turn<'_> {
        let known = self.process.borrow().upgrade();
        let process = known.unwrap_or_else(|| {
            let new = Rc::new(Process::default());
            self.process.replace(Rc::downgrade(&new));
            new
        });
        Turn { nursery: self, process }
    }

    fn start(&self) -> io::Result<OwnedFd> {
        let executable = std::env::current_exe()?;
        // Its file may have been replaced meanwhile: this is what runs.
        let executable = if executable.exists() { executable } else { PathBuf::from("/proc/self/exe") };
        let null = File::options().read(true).write(true).open("/dev/null")?;
        // A full disk is no reason not to start.
        let log = File::options().append(true).create(true).mode(0o600).open(&self.log);
        let log = log.as_ref().unwrap_or(&null);
        let (ours, theirs) = socket::packets()?;
        let env = std::env::vars_os()
            .filter_map(|(name, value)| Some(format!("{}={}", name.into_string().ok()?, value.into_string().ok()?)));
        // Ours is what lines of keepers go to.
        let (out, error) = (std::io::stdout(), std::io::stderr());
        let console = Look::wanted().map(|_| [out.as_fd(), error.as_fd()]);
        // For the words of keepers, which say whose they are.
        let room = OsString::from("-".repeat("keeper --dir /".len() + self.run.as_os_str().len() + LONGEST_NAME));
        let program = Program {
            file: &executable,
            args: [executable.as_os_str(), "keepers".as_ref(), room.as_os_str()].into(),
            env: env.collect(),
            cwd: Path::new("/"),
            stdio: [null.as_fd(), null.as_fd(), log.as_fd()],
            fds: [theirs.as_fd()].into_iter().chain(console.into_iter().flatten()).collect(),
            own_pid: Vec::new(),
            user: None,
        };
        spawn::spawn_detached(&program).map_err(|(_, error)| error)?;
        Ok(ours)
    }
}

impl Turn<'_> {
    /// Starts a keeper, which goes on without us and has these descriptors. Returns our end of the line to it.
    pub async fn start(&self, birth: &Birth<'_>, kept: &[BorrowedFd<'_>]) -> io::Result<UnixStream> {
        let file = birth.file()?;
        let (ours, theirs) = socket::channel()?;
        set_nonblocking(&theirs)?;
        let mut fds = vec![theirs.as_fd(), file.as_fd()];
        fds.extend_from_slice(kept);
        // Nobody else uses it meanwhile: what is given up in the middle leaves nothing behind that makes no sense.
        if let Some(known) = self.process.take()
            && send(&known, &fds).await.is_ok()
        {
            self.process.replace(Some(known));
        } else {
            // None, or one that was killed.
            let new = self.nursery.start()?;
            send(&new, &fds).await?;
            self.process.replace(Some(new));
        }
        UnixStream::from_std(ours.into())
    }
}

/// Until there is room.
async fn send(nursery: &OwnedFd, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let began = Instant::now();
    for packet in birth::packets(fds) {
        loop {
            let full = match packet.send(nursery.as_fd()) {
                Ok(()) => break,
                Err(error) if began.elapsed() > PATIENCE => return Err(error),
                Err(error) => error,
            };
            if ![Errno::EAGAIN, Errno::ETOOMANYREFS].iter().any(|errno| full.raw_os_error() == Some(*errno as i32)) {
                return Err(full);
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
    Ok(())
}
