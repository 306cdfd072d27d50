//! Starting a program, with exactly the descriptors, the environment and the user that it is to have.
//!
//! The standard library's `Command` can neither give a program its own number in `LISTEN_PID` nor put descriptors where they belong without
//! an unsafe hook, so this is clone(2) and execve(2), as vfork(2) has it: the child uses our memory, and we wait until it is the program. Nothing is
//! copied that would be thrown away at once, and what has failed is simply there when we go on. Everything that needs memory is made before.

use std::ffi::{CString, NulError, OsStr};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, pipe2};

use super::libc;

/// The first descriptor behind the standard streams.
const FIRST: RawFd = 3;

/// Whom a program runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its number.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// All groups that it is in.
    pub groups: Vec<u32>,
}

/// A program that is to be started.
pub struct Program<'a> {
    /// The file.
    pub file: &'a Path,
    /// Its arguments, with its own name first.
    pub args: Vec<&'a OsStr>,
    /// Its environment: `NAME=value`.
    pub env: Vec<String>,
    /// The folder that it starts in.
    pub cwd: &'a Path,
    /// Standard input, output and error.
    pub stdio: [BorrowedFd<'a>; 3],
    /// What it finds behind them, from number 3 on.
    pub fds: Vec<BorrowedFd<'a>>,
    /// Variables that hold its own number, such as `LISTEN_PID`.
    pub own_pid: Vec<&'static str>,
    /// Whom it runs as, if not as we do.
    pub user: Option<User>,
}

/// What of a start has failed.
#[derive(Debug, PartialEq, Eq)]
pub enum Failed {
    /// There is no such folder, or it must not be entered.
    Cwd,
    /// It must not run as this user.
    User,
    /// It cannot be run.
    Exec,
    /// The system has no room for it.
    Start,
}

/// Bytes of a variable that holds a process's own number.
const OWN_PID: usize = 48;

/// Starts it in a session of its own. Returns its process when it runs, or what has failed.
pub fn spawn(program: &Program) -> Result<i32, (Failed, io::Error)> {
    start(program, &mut new_stack(), None)
}

/// Starts it as nobody's child, in a session that it does not lead. Returns when it runs.
pub fn spawn_detached(program: &Program) -> Result<(), (Failed, io::Error)> {
    start(program, &mut new_stack(), Some(&mut new_stack())).map(drop)
}

/// Starts it in a child that runs on `stack`; with a second stack, in a child of that one, which then ends.
fn start(program: &Program, stack: &mut Stack, second: Option<&mut Stack>) -> Result<i32, (Failed, io::Error)> {
    let detached = second.is_some();
    let failed = |error: io::Error| (Failed::Start, error);
    let prepared = Prepared::new(program).map_err(|_| failed(io::Error::from(io::ErrorKind::InvalidInput)))?;
    let mut child = Child { prepared, second: second.map(std::ptr::from_mut), failed: None };
    let pid = clone_and_wait(become_program, stack, &mut child).map_err(|errno| failed(errno.into()))?;
    if child.failed.is_none() && !detached {
        return Ok(pid);
    }
    // It has ended: as it failed, or as it has started the one that stays.
    while waitpid(Pid::from_raw(pid), None) == Err(Errno::EINTR) {}
    match child.failed {
        None => Ok(pid),
        Some((what, errno)) => Err((what, errno.into())),
    }
}

/// What a child works on: in our memory, which it has to itself until it executes another file or ends.
struct Child {
    prepared: Prepared,
    /// The stack of another one that it starts, to end itself. Not a part of its own: a function with room for it would touch what is below that.
    second: Option<*mut Stack>,
    /// What it could not do.
    failed: Option<(Failed, Errno)>,
}

/// Words of a child's stack: 16 KiB, of which it touches a few hundred bytes.
const STACK: usize = 1 << 10;

type Stack = [MaybeUninit<u128>; STACK];

fn new_stack() -> Stack {
    [MaybeUninit::uninit(); STACK]
}

/// Runs `main` in a child with our memory, and goes on when that has executed another file or ended. Returns its number.
fn clone_and_wait(
    main: extern "C" fn(*mut libc::c_void) -> libc::c_int,
    stack: &mut Stack,
    child: &mut Child,
) -> Result<i32, Errno> {
    // What we do when a signal comes must not be done by a child.
    let mut before = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before))?;
    // SAFETY: the child runs on a stack of its own, which is there until it needs it no more, as we wait (CLONE_VFORK); `main` calls nothing but
    // what may be called between fork and exec (signal-safety(7)), and touches only `child`, which nobody else does meanwhile.
    let pid = unsafe {
        let top = stack.as_mut_ptr_range().end.cast();
        libc::clone(main, top, libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD, std::ptr::from_mut(child).cast())
    };
    let pid = Errno::result(pid);
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None)?;
    pid
}

/// The main function of a child. Returns only when it has failed, or when another one goes on.
extern "C" fn become_program(child: *mut libc::c_void) -> libc::c_int {
    // SAFETY: `clone_and_wait` has been given it for this child alone.
    let child = unsafe { &mut *child.cast::<Child>() };
    // SAFETY: it touches no memory of ours.
    unsafe { libc::setsid() };
    if let Some(stack) = child.second.take() {
        // SAFETY: whoever waits for us has it, and leaves it to us.
        let stack = unsafe { &mut *stack };
        if let Err(errno) = clone_and_wait(become_detached, stack, child) {
            child.failed = Some((Failed::Start, errno));
        }
        return 0;
    }
    become_detached(std::ptr::from_mut(child).cast())
}

extern "C" fn become_detached(child: *mut libc::c_void) -> libc::c_int {
    // SAFETY: as above.
    let child = unsafe { &mut *child.cast::<Child>() };
    // SAFETY: this is a child, and `prepared` is complete.
    child.failed = Some(unsafe { child.prepared.become_it() });
    127
}

/// All that the child needs, as C wants it.
struct Prepared {
    file: CString,
    cwd: CString,
    _args: Vec<CString>,
    _env: Vec<CString>,
    argv: Vec<*const libc::c_char>,
    envp: Vec<*const libc::c_char>,
    /// Where the child writes its own number, each behind so many bytes.
    own_pid: Vec<(Box<[u8; OWN_PID]>, usize)>,
    fds: Vec<RawFd>,
    user: Option<User>,
}

impl Prepared {
    fn new(program: &Program) -> Result<Prepared, NulError> {
        let c = |text: &OsStr| CString::new(text.as_bytes());
        let args = program.args.iter().map(|arg| c(arg)).collect::<Result<Vec<_>, _>>()?;
        let env = program.env.iter().map(|entry| CString::new(entry.as_bytes())).collect::<Result<Vec<_>, _>>()?;
        let entry = |name: &&str| {
            let (mut entry, length) = (Box::new([0; OWN_PID]), name.len() + 1);
            entry[..name.len()].copy_from_slice(name.as_bytes());
            entry[name.len()] = b'=';
            (entry, length)
        };
        let own_pid: Vec<_> = program.own_pid.iter().map(entry).collect();
        let ends = |list: &[CString]| list.iter().map(|entry| entry.as_ptr()).collect::<Vec<_>>();
        let mut argv = ends(&args);
        argv.push(std::ptr::null());
        let mut envp = ends(&env);
        envp.extend(own_pid.iter().map(|(entry, _)| entry.as_ptr().cast()));
        envp.push(std::ptr::null());
        let fds = program.stdio.iter().chain(&program.fds).map(AsRawFd::as_raw_fd).collect();
        let (file, cwd) = (c(program.file.as_os_str())?, c(program.cwd.as_os_str())?);
        Ok(Prepared { file, cwd, _args: args, _env: env, argv, envp, own_pid, fds, user: program.user.clone() })
    }

    /// Turns this process into the program. Returns only when that fails: what has failed, and why.
    ///
    /// # Safety
    /// Only to be called in a child that shares our memory, while we wait for it.
    unsafe fn become_it(&mut self) -> (Failed, Errno) {
        // SAFETY: plain system calls on numbers and on memory that `self` owns. Those that change whom we are are made directly, as the
        // functions of the C library change all threads of what they take for their process: ours.
        unsafe {
            if !self.place_descriptors() {
                return (Failed::Start, Errno::last());
            }
            reset_signals();
            if let Some(user) = &self.user {
                let (uid, gid) = (libc::c_long::from(user.uid), libc::c_long::from(user.gid));
                if libc::syscall(libc::SYS_setgroups, user.groups.len(), user.groups.as_ptr()) != 0
                    || libc::syscall(libc::SYS_setgid, gid) != 0
                    || libc::syscall(libc::SYS_setuid, uid) != 0
                {
                    return (Failed::User, Errno::last());
                }
            }
            if libc::chdir(self.cwd.as_ptr()) != 0 {
                return (Failed::Cwd, Errno::last());
            }
            for (entry, length) in &mut self.own_pid {
                write_number(entry.get_mut(*length..).unwrap_or_default(), libc::getpid().unsigned_abs());
            }
            libc::execve(self.file.as_ptr(), self.argv.as_ptr(), self.envp.as_ptr());
            (Failed::Exec, Errno::last())
        }
    }

    /// # Safety
    /// As [`Prepared::become_it`].
    unsafe fn place_descriptors(&mut self) -> bool {
        // Above all places first, so that none is overwritten before it is in its own.
        let above = FIRST + self.fds.len() as RawFd + 1;
        // SAFETY: system calls on numbers; a failure ends the child.
        unsafe {
            for fd in &mut self.fds {
                *fd = libc::fcntl(*fd, libc::F_DUPFD_CLOEXEC, above);
                if *fd < 0 {
                    return false;
                }
            }
            // What we have inherited ourselves, from a shell for example, is not meant for it. An older kernel cannot.
            libc::syscall(
                libc::SYS_close_range,
                self.fds.len() as libc::c_uint,
                libc::c_uint::MAX,
                libc::CLOSE_RANGE_CLOEXEC,
            );
            self.fds.iter().enumerate().all(|(place, fd)| libc::dup2(*fd, place as RawFd) >= 0)
        }
    }
}

/// Signals that a program finds as they are by default, even if we ignore them.
const DEFAULT_SIGNALS: [libc::c_int; 7] =
    [libc::SIGPIPE, libc::SIGHUP, libc::SIGINT, libc::SIGTERM, libc::SIGUSR1, libc::SIGUSR2, libc::SIGXFSZ];

/// No signal is blocked, and none leads to what we do when it comes.
///
/// # Safety
/// As [`Prepared::become_it`].
unsafe fn reset_signals() {
    // SAFETY: `sigaction` and the set are initialised by being zero, which is the default, no flags and no signals; the kernel fills in `now`.
    // The child has a table of its own.
    unsafe {
        let default = MaybeUninit::<libc::sigaction>::zeroed().assume_init();
        for signal in 1..=libc::SIGSYS {
            let mut now = default;
            let is_known = libc::sigaction(signal, std::ptr::null(), &raw mut now) == 0;
            let is_ours = is_known && ![libc::SIG_DFL, libc::SIG_IGN].contains(&now.sa_sigaction);
            if is_ours || DEFAULT_SIGNALS.contains(&signal) {
                libc::sigaction(signal, &raw const default, std::ptr::null_mut());
            }
        }
        libc::sigprocmask(libc::SIG_SETMASK, &raw const default.sa_mask, std::ptr::null_mut());
    }
}

/// Writes a number in decimal, and a zero byte. Allocates nothing.
fn write_number(out: &mut [u8], mut number: u32) {
    let mut digits = [0; 10];
    let mut count = 0;
    while number > 0 || count == 0 {
        digits[count] = b'0' + (number % 10) as u8;
        number /= 10;
        count += 1;
    }
    for (place, digit) in out.iter_mut().zip(digits[..count].iter().rev()) {
        *place = *digit;
    }
    if let Some(end) = out.get_mut(count) {
        *end = 0;
    }
}

/// A pipe: its end to read from, which does not block, and its end to write to.
pub fn output_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    set_nonblocking(&read)?;
    Ok((read, write))
}

/// A pipe: its end to read from, and its end to write to, which does not block.
pub fn input_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    set_nonblocking(&write)?;
    Ok((read, write))
}

/// Reading and writing never wait.
pub fn set_nonblocking(fd: &OwnedFd) -> io::Result<()> {
    let flags = OFlag::from_bits_truncate(nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_GETFL)?);
    nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::AsFd;

    fn output_of(
        script: &str,
        extra: &[std::fs::File],
        change: impl FnOnce(&mut Program),
    ) -> Result<String, (Failed, io::Error)> {
        let (read, write) = pipe2(OFlag::O_CLOEXEC).unwrap();
        let null = std::fs::File::options().read(true).write(true).open("/dev/null").unwrap();
        let mut program = Program {
            file: Path::new("/bin/sh"),
            args: vec![OsStr::new("sh"), OsStr::new("-c"), OsStr::new(script)],
            env: vec!["A=b".into()],
            cwd: Path::new("/"),
            stdio: [null.as_fd(), write.as_fd(), null.as_fd()],
            fds: extra.iter().map(AsFd::as_fd).collect(),
            own_pid: Vec::new(),
            user: None,
        };
        change(&mut program);
        let pid = spawn(&program)?;
        drop(program);
        drop(write);
        let mut text = String::new();
        std::fs::File::from(read).read_to_string(&mut text).unwrap();
        nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid), None).unwrap();
        Ok(text)
    }

    #[test]
    fn a_program_gets_its_environment_folder_and_descriptors() {
        let extra = [std::fs::File::open("/dev/zero").unwrap()];
        let script =
            "echo $A; pwd; readlink /proc/$$/fd/3; test $LISTEN_PID = $$ && test $WATCHDOG_PID = $$ && echo mine";
        let text = output_of(script, &extra, |program| program.own_pid = vec!["LISTEN_PID", "WATCHDOG_PID"]);
        assert_eq!(text.unwrap(), "b\n/\n/dev/zero\nmine\n");
    }

    #[test]
    fn what_fails_is_told() {
        let (failed, error) = output_of("", &[], |program| program.file = Path::new("/nowhere/at/all")).unwrap_err();
        assert_eq!((failed, error.kind()), (Failed::Exec, io::ErrorKind::NotFound));
        let (failed, _) = output_of("", &[], |program| program.cwd = Path::new("/nowhere")).unwrap_err();
        assert_eq!(failed, Failed::Cwd);
    }

    #[test]
    fn no_signal_of_ours_is_blocked_ignored_or_caught_in_it() {
        // SAFETY: nothing is done when it comes, and it does not come.
        unsafe { nix::sys::signal::signal(nix::sys::signal::SIGUSR2, nix::sys::signal::SigHandler::SigIgn) }.unwrap();
        let blocked = SigSet::from(nix::sys::signal::SIGURG);
        blocked.thread_block().unwrap();
        let text = output_of("exec cat /proc/self/status", &[], |_| {}).unwrap();
        let set = |name: &str| {
            let bits = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            u64::from_str_radix(bits.trim(), 16).unwrap()
        };
        let usr2 = 1 << (libc::SIGUSR2 - 1);
        assert_eq!((set("SigBlk:"), set("SigIgn:") & usr2, set("SigCgt:")), (0, 0, 0));
        // What was blocked here still is.
        assert!(SigSet::thread_get_mask().unwrap().contains(nix::sys::signal::SIGURG));
        blocked.thread_unblock().unwrap();
    }

    #[test]
    fn what_is_started_detached_is_no_child_of_ours_and_tells_what_has_failed() {
        let (read, write) = pipe2(OFlag::O_CLOEXEC).unwrap();
        let null = std::fs::File::options().read(true).write(true).open("/dev/null").unwrap();
        let script = "read pid name state parent group session rest < /proc/$$/stat; echo $pid $session";
        let mut program = Program {
            file: Path::new("/bin/sh"),
            args: vec![OsStr::new("sh"), OsStr::new("-c"), OsStr::new(script)],
            env: Vec::new(),
            cwd: Path::new("/"),
            stdio: [null.as_fd(), write.as_fd(), null.as_fd()],
            fds: Vec::new(),
            own_pid: Vec::new(),
            user: None,
        };
        spawn_detached(&program).unwrap();
        program.file = Path::new("/nowhere");
        assert_eq!(spawn_detached(&program).unwrap_err().0, Failed::Exec);
        drop(program);
        drop(write);
        let mut text = String::new();
        std::fs::File::from(read).read_to_string(&mut text).unwrap();
        let numbers: Vec<i32> = text.split_ascii_whitespace().map(|number| number.parse().unwrap()).collect();
        assert_eq!(waitpid(Pid::from_raw(numbers[0]), None), Err(Errno::ECHILD));
        assert_ne!(numbers[0], numbers[1]);
    }

    #[test]
    fn children_stay_on_their_stacks() {
        let unused = u128::MAX / 3;
        let (mut stack, mut second) = ([MaybeUninit::new(unused); STACK], [MaybeUninit::new(unused); STACK]);
        let null = std::fs::File::options().read(true).write(true).open("/dev/null").unwrap();
        let program = Program {
            file: Path::new("/bin/sh"),
            args: vec![OsStr::new("sh"), OsStr::new("-c"), OsStr::new("exit")],
            env: Vec::new(),
            cwd: Path::new("/"),
            stdio: [null.as_fd(), null.as_fd(), null.as_fd()],
            fds: Vec::new(),
            own_pid: Vec::new(),
            user: None,
        };
        start(&program, &mut stack, Some(&mut second)).unwrap();
        for stack in [stack, second] {
            // SAFETY: all of it has been written above.
            let untouched = stack.iter().take_while(|word| unsafe { word.assume_init() } == unused).count();
            assert!(
                untouched > stack.len() / 2 && untouched < stack.len(),
                "{untouched} of {} are untouched",
                stack.len()
            );
        }
    }

    #[test]
    fn nothing_else_of_ours_is_open_in_it() {
        let _kept = std::fs::File::open("/dev/zero").unwrap();
        let text = output_of("exec ls /proc/self/fd", &[], |_| {}).unwrap();
        // The fourth is the folder that is being listed.
        assert_eq!(text, "0\n1\n2\n3\n");
    }
}
