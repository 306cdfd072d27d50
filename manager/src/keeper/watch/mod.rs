//! Starting an app anew when its files change: a cluster is reloaded, the instances of a program start one after the other.
//!
//! An app that watches nothing, or is stopped, costs nothing: there is no descriptor and no watch. All else is in the one loop of the keeper.

mod pace;
mod tree;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::{Value, json};

use super::life::Event;
use super::output::family;
use super::primary::NOBODY;
use super::{Keeper, token};
use crate::logs::place::Stream;
use crate::model::{App, Mode, State, Watched, Watching};
use pace::{Changes, Pace, Verdict};
use tree::{Limit, MOST, Tree};

/// What an app says of watching, and what it does not count.
#[derive(PartialEq, Eq)]
struct Wanted {
    watch: Vec<String>,
    ignore: Vec<String>,
    cwd: String,
    own: Vec<PathBuf>,
}

impl Wanted {
    fn of(app: &App, home: &Path) -> Wanted {
        let mut own = family(app, home);
        if !Path::new(&app.cwd).starts_with(home) {
            own.push(home.to_owned());
        }
        Wanted { watch: app.watch.clone(), ignore: app.ignore_watch.clone(), cwd: app.cwd.clone(), own }
    }
}

/// Files that are watched.
pub struct Watch {
    wanted: Wanted,
    watched: Watched,
    /// Nothing where it was given up.
    tree: Option<Tree>,
    pace: Pace,
    /// When the app was started anew last: what was written before is known to it.
    since: SystemTime,
    /// The same on the keeper's clock.
    began: u64,
    /// Instances that are to start anew, the first of which is doing so.
    rolling: VecDeque<usize>,
    told: Watching,
}

impl Watch {
    /// What users are told.
    pub fn status(&self) -> Watching {
        let folders = self.tree.as_ref().map_or(0, Tree::len);
        Watching { folders, ..self.told.clone() }
    }
}

/// Why nothing is watched, and what to do.
fn why(limit: Limit) -> String {
    let cure = match limit {
        Limit::Watches => "no inotify watches are left for this user: raise fs.inotify.max_user_watches (sysctl), or name fewer folders".to_owned(),
        Limit::Instances => "no inotify instances are left for this user: raise fs.inotify.max_user_instances (sysctl)".to_owned(),
        Limit::Folders => format!("there are more than {MOST} folders: name fewer, or leave some out with \"ignore_watch\""),
        Limit::Other(errno) => format!("the kernel does not tell of changes: {}", errno.desc()),
    };
    format!("\"watch\": nothing is watched, as {cure}")
}

impl Keeper {
    /// The app may watch other files now, or none.
    pub(super) fn plan_watch(&mut self) {
        let is_wanted =
            !self.app.watch.is_empty() && !self.quitting && self.instances.iter().any(|one| !one.is_stopped);
        let wanted = is_wanted.then(|| Wanted::of(&self.app, self.home()));
        let is_well = |watch: &Watch| watch.tree.is_some() && watch.told.problem.is_none();
        if self.watch.as_ref().is_none_or(is_well) && self.watch.as_ref().map(|watch| &watch.wanted) == wanted.as_ref()
        {
            return;
        }
        self.changed = true;
        if let Some(tree) = self.watch.take().and_then(|watch| watch.tree) {
            self.poller.remove(&tree);
        }
        let Some(wanted) = wanted else { return };
        // It was checked before.
        let Ok(watched) = Watched::of(&self.app, wanted.own.clone()) else { return };
        let tree = Tree::new(&watched, MOST).and_then(|tree| {
            self.poller.add(&tree, token::WATCH).map_err(|_| Limit::Instances)?;
            Ok(tree)
        });
        let (tree, limit) = match tree {
            Ok(tree) => (Some(tree), None),
            Err(limit) => (None, Some(limit)),
        };
        let (since, began) = (SystemTime::now(), self.now());
        let (pace, rolling) = (Pace::default(), VecDeque::new());
        self.watch = Some(Watch { wanted, watched, tree, pace, since, began, rolling, told: Watching::default() });
        match limit {
            Some(limit) => self.give_up_watching(limit),
            None => self.search_folders(),
        }
        self.look_for_missing();
    }

    /// Nothing can be watched: the app runs on.
    fn give_up_watching(&mut self, limit: Limit) {
        self.stop_watching(why(limit), false);
    }

    fn stop_watching(&mut self, problem: String, suspended: bool) {
        let Some(watch) = &mut self.watch else { return };
        if let Some(tree) = watch.tree.take() {
            self.poller.remove(&tree);
        }
        (watch.told.suspended, watch.told.problem) = (suspended, Some(problem.clone()));
        watch.pace = Pace::default();
        self.changed = true;
        self.say(Stream::Error, &problem);
        self.incident(if suspended { "watch-suspended" } else { "watch-failed" }, None, &problem);
    }

    fn search_folders(&mut self) {
        let Some(Watch { tree: Some(tree), watched, .. }) = &mut self.watch else { return };
        if let Err(limit) = tree.go_on(watched) {
            self.give_up_watching(limit);
        }
        self.changed = true;
    }

    /// A path that was named and is not there is told once.
    fn look_for_missing(&mut self) {
        let Some(Watch { tree: Some(tree), told, .. }) = &mut self.watch else { return };
        let problem = tree.missing().map(|path| {
            format!(
                "\"watch\": there is no \"{}\": it is watched as soon as it is there, if its folder is",
                path.display()
            )
        });
        if told.problem == problem {
            return;
        }
        told.problem.clone_from(&problem);
        self.changed = true;
        if let Some(problem) = problem {
            self.say(Stream::Error, &problem);
        }
    }

    /// Something has changed.
    pub(super) fn on_files_changed(&mut self) {
        let now = self.now();
        let Some(Watch { tree: Some(tree), watched, pace, since, .. }) = &mut self.watch else { return };
        let before = tree.len();
        match tree.changes(watched, *since) {
            Ok(changes) => changes.iter().for_each(|change| pace.changed(&change.path, change.is_there, now)),
            Err(limit) => return self.give_up_watching(limit),
        }
        self.changed |= self.watch.as_ref().is_some_and(|watch| watch.status().folders != before);
        self.look_for_missing();
    }

    /// When (ms) something is to be done about files.
    pub(super) fn watch_deadline(&self) -> Option<u64> {
        let watch = self.watch.as_ref()?;
        if watch.tree.as_ref().is_some_and(Tree::is_searching) {
            return Some(self.now());
        }
        let is_busy = !watch.rolling.is_empty() || self.reloads_by_itself();
        watch.pace.due(self.app.watch_delay).filter(|_| !is_busy)
    }

    /// There are folders to be looked at, or changes to be acted upon.
    pub(super) fn on_watch_due(&mut self, now: u64) {
        let Some(watch) = &mut self.watch else { return };
        if watch.tree.as_ref().is_some_and(Tree::is_searching) {
            return self.search_folders();
        }
        match watch.pace.take() {
            Some(Verdict::Act(changes)) => self.start_anew_for(&changes, now),
            Some(Verdict::Loop(changes)) => {
                let path = self.shown(&changes.path);
                let problem = format!(
                    "\"watch\": suspended, as it was started anew again and again for \"{path}\", which changes each time that it starts. Name \
                     that in \"ignore_watch\", then: rcluster restart {}",
                    self.app.name
                );
                self.stop_watching(problem, true);
            }
            None => {}
        }
    }

    /// A path as people know it.
    fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.app.cwd).unwrap_or(path).display().to_string()
    }

    fn start_anew_for(&mut self, changes: &Changes, now: u64) {
        let is_cluster = self.app.mode == Mode::Cluster;
        let reloads = is_cluster && self.instances.first().is_some_and(|primary| primary.life.state() == State::Online);
        let began = self.watch.as_ref().map_or(0, |watch| watch.began);
        // What was started after the change knows it.
        let is_old = |number: &usize| {
            let instance = &self.instances[*number];
            !instance.is_stopped && changes.last >= if reloads { began } else { instance.life.started_at() }
        };
        let rolling: VecDeque<usize> = (0..self.instances.len()).filter(is_old).collect();
        let Some(first) = rolling.front().copied() else { return };
        let path = self.shown(&changes.path);
        let what = if reloads { "it is reloaded" } else { "it starts anew" };
        self.say(Stream::Out, &format!("{path} has changed: {what}"));
        if let Some(watch) = &mut self.watch {
            watch.told.last_change = Some(path);
            (watch.since, watch.began) = (SystemTime::now(), now);
            if !reloads {
                watch.rolling = rolling;
            }
        }
        self.changed = true;
        if !reloads || !self.ask_primary(NOBODY, Value::Null, json!({ "rcluster": "reload" })) {
            self.event(first, Event::Restart);
        }
    }

    /// The next instance starts anew when the one before has.
    pub(super) fn go_on_with_watched(&mut self) {
        let now = self.now();
        loop {
            let Some(watch) = &mut self.watch else { return };
            let Some(first) = watch.rolling.front() else { return };
            if self.instances.get(*first).is_some_and(|one| !one.life.is_settled()) {
                return;
            }
            watch.rolling.pop_front();
            match watch.rolling.front().copied() {
                Some(next) if self.instances.get(next).is_some_and(|one| !one.is_stopped) => {
                    self.event(next, Event::Restart)
                }
                Some(_) => {}
                None => watch.pace.acted(now),
            }
        }
    }

    /// A reload that nobody has asked for is over.
    pub(super) fn on_own_reload(&mut self, error: Option<&str>) {
        let now = self.now();
        if let Some(watch) = &mut self.watch {
            watch.pace.acted(now);
        }
        if let Some(error) = error {
            self.say(Stream::Error, error);
        }
    }
}
