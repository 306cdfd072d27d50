//! What the kernel says of processes (proc(5)).

use std::fs::{self, File};
use std::io::Read;
use std::sync::OnceLock;
use std::thread;

use nix::unistd::{SysconfVar, sysconf};

/// A process as `/proc/<pid>/stat` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Its number.
    pub pid: i32,
    /// Who started it, or has inherited it.
    pub parent: i32,
    /// Its session.
    pub session: i32,
    /// Whether it has ended and nobody has asked how.
    pub is_zombie: bool,
    /// Clock ticks of processor time.
    pub cpu_ticks: u64,
    /// Clock ticks since the machine was started when it was: with the number it names a process for ever.
    pub start: u64,
    /// Pages of memory.
    pub resident: u64,
    /// Threads.
    pub threads: u64,
}

/// Bytes of a line of which each field is as long as it can be, and more.
const LONGEST_STAT: usize = 2048;

/// What is known of a process; `None` when it has gone.
pub fn stat(pid: i32) -> Option<Stat> {
    // It is there whole with one read, and there may be hundreds to look at.
    let mut bytes = [0; LONGEST_STAT];
    let count = File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut bytes).ok()?;
    // Its name may be no text.
    parse(pid, &String::from_utf8_lossy(bytes.get(..count)?))
}

fn parse(pid: i32, text: &str) -> Option<Stat> {
    // The second field is the name, in parentheses, and may hold anything.
    let rest = text.get(text.rfind(')')? + 2..)?;
    let mut fields = [""; 22];
    fields.iter_mut().zip(rest.split_ascii_whitespace()).for_each(|(field, word)| *field = word);
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Stat {
        pid,
        parent: fields[1].parse().ok()?,
        session: fields[3].parse().ok()?,
        is_zombie: matches!(fields[0], "Z" | "X"),
        cpu_ticks: number(11)? + number(12)?,
        start: number(19)?,
        resident: number(21)?,
        threads: number(17)?,
    })
}

/// How many descriptors a process has open; 0 when it has gone or is another user's.
pub fn descriptors(pid: i32) -> u64 {
    let folder = format!("/proc/{pid}/fd");
    // Since Linux 6.2 the folder says how many it has; before that it has to be read.
    match fs::metadata(&folder) {
        Ok(about) if about.len() > 0 => about.len(),
        Ok(_) => fs::read_dir(&folder).map_or(0, |entries| entries.count() as u64),
        Err(_) => 0,
    }
}

/// All processes.
pub fn all() -> Vec<Stat> {
    pids().into_iter().filter_map(stat).collect()
}

/// The same, by several threads where there are many.
pub fn all_together() -> Vec<Stat> {
    of_each(&pids(), stat).into_iter().flatten().collect()
}

fn pids() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// A thread is worth its start when it asks for so many processes, and more of them than that are not.
const LEAST_EACH: usize = 150;
const MOST_THREADS: usize = 4;

/// Asks the kernel something of each process. That takes some microseconds for each, so that several processors do it where there are hundreds.
pub fn of_each<T: Send>(pids: &[i32], ask: fn(i32) -> T) -> Vec<T> {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let threads = (pids.len() / LEAST_EACH).clamp(1, processors.min(MOST_THREADS));
    let all = |part: &[i32]| part.iter().map(|pid| ask(*pid)).collect::<Vec<T>>();
    let (own, others) = pids.split_at(pids.len().div_ceil(threads));
    thread::scope(|scope| {
        let begin = |part| thread::Builder::new().spawn_scoped(scope, move || all(part)).map_err(|_| part);
        let begun: Vec<_> = others.chunks(own.len().max(1)).map(begin).collect();
        let mut answers = all(own);
        for one in begun {
            match one {
                Ok(thread) => answers.extend(thread.join().unwrap_or_default()),
                // There may be no more threads for this user.
                Err(part) => answers.extend(all(part)),
            }
        }
        answers
    })
}

/// What tells this run of the machine from others.
pub fn boot() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    let read = || fs::read_to_string("/proc/sys/kernel/random/boot_id");
    BOOT.get_or_init(|| read().map(|text| text.trim().to_owned()).unwrap_or_default())
}

/// Whether it is a daemon or a keeper, of whichever version.
pub fn is_manager(pid: i32) -> bool {
    let name = fs::read_link(format!("/proc/{pid}/exe")).ok();
    name.and_then(|path| Some(path.file_name()?.as_encoded_bytes().starts_with(b"rclusterd"))).unwrap_or(false)
}

/// Whether a process was started with this entry in its environment: `NAME=value`.
pub fn has_variable(pid: i32, entry: &str) -> bool {
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|bytes| bytes.split(|byte| *byte == 0).any(|one| one == entry.as_bytes()))
}

/// Bytes of memory of so many pages.
pub fn bytes(pages: u64) -> u64 {
    pages.saturating_mul(system_number(SysconfVar::PAGE_SIZE).unwrap_or(4096))
}

/// Milliseconds of so many clock ticks.
pub fn milliseconds(ticks: u64) -> u64 {
    ticks.saturating_mul(1000) / system_number(SysconfVar::CLK_TCK).unwrap_or(100)
}

fn system_number(name: SysconfVar) -> Option<u64> {
    sysconf(name).ok().flatten().and_then(|number| u64::try_from(number).ok()).filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_there() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let stat = stat(pid).unwrap();
        assert!(stat.parent > 0 && stat.start > 0 && stat.resident > 0 && !stat.is_zombie);
        assert!(all().iter().any(|one| one.pid == pid));
        assert!(all_together().iter().any(|one| one.pid == pid));
        assert!(stat.threads > 0 && descriptors(pid) >= 3 && descriptors(-1) == 0);
    }

    #[test]
    fn each_is_asked_for_once_and_answers_are_in_their_order_however_many_there_are() {
        for count in [0, 1, 2 * LEAST_EACH - 1, 2 * LEAST_EACH, 7 * LEAST_EACH + 1, 20 * LEAST_EACH] {
            let pids: Vec<i32> = (0..i32::try_from(count).unwrap()).collect();
            let answers = of_each(&pids, |pid| (pid, thread::current().id()));
            assert!(answers.iter().map(|(pid, _)| *pid).eq(pids), "{count}");
            let threads: std::collections::HashSet<_> = answers.iter().map(|(_, thread)| *thread).collect();
            let processors = thread::available_parallelism().map_or(1, usize::from);
            assert_eq!(
                threads.len(),
                (count / LEAST_EACH).clamp(1, processors.min(MOST_THREADS)).min(count),
                "{count}"
            );
        }
    }

    #[test]
    fn a_name_may_hold_anything() {
        let text = "12 (a) b (c)) S 1 12 12 0 -1 4194560 1 0 0 0 5 6 0 0 20 0 1 0 777 1000 42 0";
        let stat = parse(12, text).unwrap();
        assert_eq!((stat.parent, stat.cpu_ticks, stat.start, stat.resident, stat.threads), (1, 11, 777, 42, 1));
    }
}
