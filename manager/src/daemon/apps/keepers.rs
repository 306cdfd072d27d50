//! The keepers of apps: found, started, and told to end.

use std::borrow::Cow;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use futures_util::future::join_all;
use serde_json::json;

use super::Apps;
use crate::daemon::link::{Failure, Link};
use crate::daemon::store::Known;
use crate::daemon::targets::unknown;
use crate::keeper::birth::{Begin, Birth};
use crate::model::{App, SocketName, State};
use crate::sys::socket::remove_if_abandoned;

impl Apps {
    /// Finds the keepers that are there, and starts those that are missing.
    pub async fn adopt(&self) {
        let keys: Vec<String> = self.remembered.borrow().apps.iter().map(|known| known.app.key()).collect();
        // What becomes of each is in the list.
        join_all(keys.iter().map(|key| self.link(key))).await;
        self.find_unknown(&keys).await;
    }

    /// Whether a keeper of this home runs already.
    pub fn any_runs(&self) -> bool {
        let mut folders = fs::read_dir(self.home.run()).into_iter().flatten().flatten();
        folders.any(|entry| std::os::unix::net::UnixStream::connect(entry.path().join("keeper.sock")).is_ok())
    }

    /// Waits until all instances have come to where they were told to go.
    pub async fn settled(&self) {
        let links: Vec<Rc<Link>> = self.links.borrow().values().cloned().collect();
        join_all(links.iter().map(|link| link.ask("settle", json!({})))).await;
    }

    /// Ends all apps in order, and their keepers: they are started with the next daemon.
    pub async fn rest(&self) {
        let links = std::mem::take(&mut *self.links.borrow_mut());
        join_all(links.values().map(|link| link.ask("rest", json!({})))).await;
    }

    /// Keepers that run and are not in the list: what was written down last could not be read, or a daemon has died while it had them end.
    /// What runs is listed.
    pub(super) async fn find_unknown(&self, known: &[String]) {
        let folders = fs::read_dir(self.home.run()).into_iter().flatten().flatten();
        for key in folders.filter_map(|entry| entry.file_name().into_string().ok()) {
            if known.contains(&key) {
                continue;
            }
            let Ok(link) = Link::connect(&self.folder(&key), &self.events).await else { continue };
            let app = link.ask("app", json!({})).await.ok().and_then(|app| App::of(app).ok());
            let Some(app) = app.filter(|app| app.key() == key) else { continue };
            let stopped =
                link.status().is_some_and(|status| status.processes.iter().all(|one| one.state == State::Stopped));
            self.change_anyway(|remembered| {
                remembered.next_id = app.ids.iter().map(|id| id + 1).chain([remembered.next_id]).max().unwrap_or(0);
                remembered.apps.push(Known { app, stopped });
            });
            self.know(&key, &link);
        }
    }

    /// Starts keepers anew that have gone, though their apps have not. Returns whether all are there.
    pub async fn revive(&self) -> bool {
        let is_gone = |(key, link): (&String, &Rc<Link>)| link.is_gone().then(|| key.clone());
        let keys: Vec<String> = self.links.borrow().iter().filter_map(is_gone).collect();
        join_all(keys.iter().map(|key| self.link(key))).await.iter().all(Result::is_ok)
    }

    /// Stops all apps and forgets them, but for what [`Apps::save`] has kept.
    pub async fn quit_all(&self) {
        let gone = self.remembered.borrow().apps.clone();
        self.end_leftovers(gone.iter().map(|known| known.app.key())).await;
        self.change_anyway(|remembered| remembered.apps.clear());
        let starting: Vec<String> = self.starting.borrow().keys().cloned().collect();
        join_all(starting.iter().map(|key| self.no_longer_starting(key))).await;
        let links = std::mem::take(&mut *self.links.borrow_mut());
        join_all(links.values().map(|link| link.ask("quit", json!({})))).await;
        for known in gone {
            self.let_go(&known.app);
        }
    }

    /// What we have of an app that is no more. Its keeper has closed its sockets: with our descriptors for them the last go, and their files.
    pub(super) fn let_go(&self, app: &App) {
        let key = app.key();
        self.copies.forget(&key);
        self.looks.forget(&key);
        for name in &app.sockets {
            if let Ok(SocketName::Unix(path)) = SocketName::parse(name, Path::new(&app.cwd)) {
                remove_if_abandoned(&path);
            }
        }
    }

    pub(super) fn folder(&self, key: &str) -> PathBuf {
        self.home.run().join(key)
    }

    async fn new_keeper(&self, app: &App, begin: Begin) -> Result<(Rc<Link>, bool), Failure> {
        let folder = self.folder(&app.key());
        let failed = |error: std::io::Error| {
            Failure::new("ERR_RCLUSTER_NOT_SAVED", format!("\"{}\" could not be kept: {error}", app.name))
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
        let had = self.copies.of(&app.key());
        let kept = had.iter().map(|(about, _)| Cow::Borrowed(about)).collect();
        let birth = Birth { folder: Cow::Owned(folder), app: Cow::Borrowed(app), kept, begin };
        let fds: Vec<_> = had.iter().map(|(_, fd)| fd.as_fd()).collect();
        Link::open(&self.nursery, &birth, &fds, &self.events).await
    }

    /// The line to an app's keeper, which is started if it is not there. Then what ran before it does again.
    pub(super) async fn link(&self, key: &str) -> Result<Rc<Link>, Failure> {
        Ok(self.link_or(key, Begin::Resume).await?.0)
    }

    /// Before apps are forgotten: what a keeper has left that was killed is ended by the next one, and nobody else knows of it. Where none can be
    /// started the app is forgotten all the same.
    pub(super) async fn end_leftovers(&self, keys: impl Iterator<Item = String>) {
        join_all(keys.map(async |key| self.link_or(&key, Begin::Nothing).await)).await;
    }

    /// The same; a keeper that is started begins as `begin` says, unless the app is stopped. Returns besides whether it has.
    pub(super) async fn link_or(&self, key: &str, begin: Begin) -> Result<(Rc<Link>, bool), Failure> {
        let open = || self.links.borrow().get(key).filter(|link| !link.is_gone()).cloned();
        if let Some(link) = open() {
            return Ok((link, false));
        }
        let turn = Rc::clone(self.starting.borrow_mut().entry(key.to_owned()).or_default());
        let _turn = turn.lock().await;
        if let Some(link) = open() {
            return Ok((link, false));
        }
        let Known { app, stopped } = self.find(key).ok_or_else(|| unknown(key))?;
        let (link, has_begun) = match Link::connect(&self.folder(key), &self.events).await {
            Ok(link) => (link, false),
            // It is there: another one could not take its place.
            Err(failure) if failure.is_silence() => {
                return Err(Failure { message: format!("\"{}\": {}", app.name, failure.message), ..failure });
            }
            Err(_) => {
                let begin = if stopped { Begin::Nothing } else { begin };
                let (link, is_new) = self.new_keeper(&app, begin).await?;
                (link, is_new && begin != Begin::Nothing)
            }
        };
        self.know(key, &link);
        Ok((link, has_begun))
    }

    /// Resolves when nobody starts an app's keeper any more, who would know it only after it should have been told to quit. Whoever comes
    /// later finds that the app is forgotten.
    pub(super) async fn no_longer_starting(&self, key: &str) {
        let turn = self.starting.borrow().get(key).cloned();
        if let Some(turn) = turn {
            drop(turn.lock().await);
        }
    }

    pub(super) fn know(&self, key: &str, link: &Rc<Link>) {
        self.copies.follow(key, self.folder(key), link);
        self.links.borrow_mut().insert(key.to_owned(), Rc::clone(link));
    }

    /// Whose keeper it is that says nothing.
    pub(super) fn of(&self, key: &str, failure: Failure) -> Failure {
        match self.find(key) {
            Some(known) if failure.is_silence() => {
                Failure { message: format!("\"{}\": {}", known.app.name, failure.message), ..failure }
            }
            _ => failure,
        }
    }
}
