//! `rclusterd monit`: a terminal's view of what runs. It asks the daemon as every other client does: a look at the figures every two seconds, and at once
//! when something happens; the logs of what is selected as they come. Nothing of it runs while nobody looks.

pub mod ask;
mod draw;
mod shown;
mod view;

use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use ratatui::widgets::TableState;
use serde_json::Value;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::{Instant, MissedTickBehavior};

use ask::Daemon;
use shown::AppStatus;
use view::{LogLine, View, Wish};

/// How often it is looked at figures.
const LOOK: Duration = Duration::from_secs(2);
/// What happens is looked at once for all that happens within that time.
const TOGETHER: Duration = Duration::from_millis(200);
/// The pause before a daemon that has gone is asked again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a row has to be selected before its logs are read: whoever goes past it does not want them.
const SETTLED: Duration = Duration::from_millis(120);
/// So many bytes of logs are read within a second; of a program that writes more the last lines are shown from then on.
const MOST_READ: usize = 256 << 10;

/// What there is to be taken notice of.
enum Told {
    Key(Event),
    /// The terminal has gone.
    NoTerminal,
    Apps(Result<Vec<AppStatus>, String>),
    Happened,
    /// Lines of the logs that were asked for with this number.
    Lines(u64, Vec<LogLine>),
    /// What has become of something that was asked for.
    Done(String, Result<Value, String>),
}

/// Shows the home at `path` until it is enough. Returns the exit code.
pub fn run(path: &Path, words: &[&str]) -> io::Result<u8> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(io::Error::other(
            "monit needs a terminal: rcluster list and rcluster logs are for pipes and files",
        ));
    }
    if std::env::var_os("TERM").is_some_and(|term| term == "dumb") {
        return Err(io::Error::other("monit needs a terminal that can move its cursor. Received TERM=dumb"));
    }
    if words.contains(&"--child") {
        // The command that has started us may be killed, and would leave us behind with its terminal.
        crate::sys::process::end_with_parent()?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let daemon = Daemon::of(path);
    let mut terminal = ratatui::try_init()?;
    let ended = LocalSet::new().block_on(&runtime, show(&mut terminal, &daemon));
    // When the command that has started us was killed, its shell may have taken the terminal already.
    let restored =
        crate::sys::signals::own_terminal().and_then(|()| ratatui::try_restore()).and_then(|()| terminal.show_cursor());
    // Whoever waits for keys does so until the process ends.
    runtime.shutdown_background();
    let code = ended?;
    restored.map(|()| code)
}

/// The tasks that look.
struct Looks {
    daemon: Daemon,
    told: UnboundedSender<Told>,
    logs: Option<JoinHandle<()>>,
    generation: u64,
}

impl Looks {
    fn figures(&self) {
        let (daemon, told) = (self.daemon.clone(), self.told.clone());
        tokio::task::spawn_local(async move {
            // Nobody is there to be told when it is over.
            let _ = told.send(Told::Apps(daemon.ask("GET", "/v1/apps?stats=false", None).await));
        });
    }

    fn act(&self, path: String, body: Value, done: String) {
        let (daemon, told) = (self.daemon.clone(), self.told.clone());
        tokio::task::spawn_local(async move {
            let _ = told.send(Told::Done(done, daemon.ask("POST", &path, Some(&body)).await));
        });
    }

    /// Reads these logs instead of those before.
    fn logs(&mut self, path: Option<String>) {
        if let Some(before) = self.logs.take() {
            before.abort();
        }
        self.generation += 1;
        let Some(path) = path else { return };
        let (daemon, told, generation) = (self.daemon.clone(), self.told.clone(), self.generation);
        self.logs = Some(tokio::task::spawn_local(async move {
            tokio::time::sleep(SETTLED).await;
            follow(&daemon, &path, |lines| told.send(Told::Lines(generation, lines)).is_ok()).await;
        }));
    }
}

/// Says when something happens, for as long as there is a daemon.
async fn listen(daemon: Daemon, told: UnboundedSender<Told>) {
    loop {
        if let Ok(mut events) = daemon.lines("/v1/events").await {
            while events.next::<Value>().await.is_some() {
                if told.send(Told::Happened).is_err() {
                    return;
                }
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Reads logs, and those that are written from now on, as long as `tell` wants them.
async fn follow(daemon: &Daemon, path: &str, tell: impl Fn(Vec<LogLine>) -> bool) {
    let mut address = path.to_owned();
    loop {
        let (mut began, mut read) = (Instant::now(), 0);
        if let Ok(mut lines) = daemon.lines(&address).await {
            while let Some((lines, bytes)) = lines.next().await {
                if !tell(lines) {
                    return;
                }
                if began.elapsed() > Duration::from_secs(1) {
                    (began, read) = (Instant::now(), 0);
                }
                read += bytes;
                if read > MOST_READ {
                    break;
                }
            }
        }
        let since = jiff::Timestamp::now().as_millisecond();
        tokio::time::sleep(AGAIN).await;
        // What has been shown is not shown again; of what has been missed the last lines are.
        address = format!("{path}&since={since}");
    }
}

/// Waits for keys, in a thread of its own.
fn read_keys(told: UnboundedSender<Told>) -> io::Result<()> {
    let read = move || {
        loop {
            let next = event::read().map_or(Told::NoTerminal, Told::Key);
            let is_last = matches!(next, Told::NoTerminal);
            if told.send(next).is_err() || is_last {
                return;
            }
        }
    };
    std::thread::Builder::new().name("keys".into()).spawn(read).map(drop)
}

async fn show(terminal: &mut DefaultTerminal, daemon: &Daemon) -> io::Result<u8> {
    let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup(), SignalKind::quit()];
    let [mut term, mut interrupt, mut hangup, mut quit] = kinds.map(signal);
    let (told, mut news) = mpsc::unbounded_channel();
    let mut looks = Looks { daemon: daemon.clone(), told: told.clone(), logs: None, generation: 0 };
    let (mut view, mut table, colours) = (View::new(), TableState::new(), draw::Colours::of_environment());
    view.trouble = Some("looking …".to_owned());
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let soon = tokio::time::sleep(Duration::ZERO);
    tokio::pin!(soon);
    let mut has_happened = false;
    tokio::task::spawn_local(listen(daemon.clone(), told.clone()));
    read_keys(told)?;
    loop {
        terminal.draw(|frame| draw::draw(frame, &view, &mut table, colours))?;
        let mut next = tokio::select! {
            next = news.recv() => next,
            _ = ticks.tick() => {
                looks.figures();
                None
            }
            () = &mut soon, if has_happened => {
                has_happened = false;
                looks.figures();
                None
            }
            number = any_of(&mut term, &mut interrupt, &mut hangup, &mut quit) => return Ok(128 + number),
        };
        while let Some(one) = next {
            match one {
                Told::Key(Event::Key(key)) if key.kind != KeyEventKind::Release => match view.press(key) {
                    Wish::None => {}
                    Wish::Quit => return Ok(0),
                    Wish::Look => looks.logs(view.logs()),
                    Wish::Act { path, body, done } => looks.act(path, body, done),
                    Wish::Suspend => suspend(terminal)?,
                },
                // Of another size it is drawn anew.
                Told::Key(_) => {}
                Told::NoTerminal => return Ok(129),
                Told::Happened if !has_happened => {
                    has_happened = true;
                    soon.as_mut().reset(Instant::now() + TOGETHER);
                }
                Told::Happened => {}
                Told::Apps(Ok(apps)) => {
                    if view.update(apps) {
                        view.forget_lines();
                        looks.logs(view.logs());
                    }
                }
                Told::Apps(Err(trouble)) => {
                    view.update(Vec::new());
                    view.forget_lines();
                    view.trouble = Some(trouble);
                    looks.logs(None);
                }
                Told::Lines(generation, lines) if generation == looks.generation => view.add(lines),
                Told::Lines(..) => {}
                Told::Done(done, result) => {
                    view.notice = Some(match result {
                        Ok(_) => (done, false),
                        Err(error) => (error, true),
                    });
                    looks.figures();
                }
            }
            // What has come at the same time is drawn at the same time.
            next = news.try_recv().ok();
        }
    }
}

/// The next of these signals.
async fn any_of(
    term: &mut io::Result<Signal>,
    interrupt: &mut io::Result<Signal>,
    hangup: &mut io::Result<Signal>,
    quit: &mut io::Result<Signal>,
) -> u8 {
    async fn one(signal: &mut io::Result<Signal>, number: u8) -> u8 {
        match signal {
            Ok(signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
        number
    }
    tokio::select! {
        number = one(term, 15) => number,
        number = one(interrupt, 2) => number,
        number = one(hangup, 1) => number,
        number = one(quit, 3) => number,
    }
}

/// Gives the terminal to the shell until it gives it back.
fn suspend(terminal: &mut DefaultTerminal) -> io::Result<()> {
    ratatui::try_restore()?;
    terminal.show_cursor()?;
    crate::sys::process::stop_own_group()?;
    *terminal = ratatui::try_init()?;
    terminal.clear()
}
