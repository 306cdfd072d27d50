//! The apps that a daemon knows, and what becomes of them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::rc::Rc;

use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::copies::Copies;
use super::events::Events;
use super::figures::Figures;
use super::home::Home;
use super::link::{Failure, Link, SILENT};
use super::metrics;
use super::plan::{self, Action, Options, Plan};
use super::recent::Looks;
use super::store::{Known, Remembered, Store};
use super::targets::{self, Target, unknown};
use crate::durable::write_whole;
use crate::keeper::PRIMARY_ENDED;
use crate::model::{App, HIDDEN, Mode, Process, State, Status};
use crate::sys::memory;

/// The primary of a cluster that has this word gathers what its app counts itself.
const APP_METRICS: &str = "--app-metrics";

/// What a keeper says that does not take another description of its app: it goes by the one before.
const REFUSED: [&str; 3] = ["ERR_RCLUSTER_SOCKET", "ERR_RCLUSTER_NOT_SAVED", "ERR_RCLUSTER_BAD_APP"];

/// All apps of a daemon.
pub struct Apps {
    home: Home,
    store: Store,
    dump: Store,
    remembered: RefCell<Remembered>,
    links: RefCell<BTreeMap<String, Rc<Link>>>,
    copies: Copies,
    /// Held while a keeper is being started: there is one for each app.
    starting: RefCell<BTreeMap<String, Rc<Mutex<()>>>>,
    events: Rc<Events>,
    figures: Figures,
    looks: Looks,
    /// What was left out of what apps count themselves.
    dropped: RefCell<metrics::Dropped>,
}

impl Apps {
    /// Those of this home. Returns besides what was wrong with what was remembered.
    pub fn open(home: Home, events: Rc<Events>) -> (Apps, Vec<String>) {
        let store = Store::new(home.file("state.json"));
        let dump = Store::new(home.file("dump.json"));
        let (remembered, troubles) = store.load();
        (
            Apps {
                home,
                store,
                dump,
                remembered: RefCell::new(remembered),
                links: RefCell::default(),
                copies: Copies::default(),
                starting: RefCell::default(),
                events,
                figures: Figures::default(),
                looks: Looks::default(),
                dropped: RefCell::default(),
            },
            troubles,
        )
    }

    /// The folder that holds everything.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Finds the keepers that are there, and starts those that are missing.
    pub async fn adopt(&self) {
        let keys: Vec<String> = self.remembered.borrow().apps.iter().map(|known| known.app.key()).collect();
        // What becomes of each is in the list.
        join_all(keys.iter().map(|key| self.link(key)).collect()).await;
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
        join_all(links.iter().map(|link| link.ask("settle", json!({}))).collect()).await;
    }

    /// Ends all apps in order, and their keepers: they are started with the next daemon.
    pub async fn rest(&self) {
        let links = std::mem::take(&mut *self.links.borrow_mut());
        join_all(links.values().map(|link| link.ask("rest", json!({}))).collect()).await;
    }

    /// Keepers that run and are not in the list: what was written down last could not be read, or a daemon has died while it had them end.
    /// What runs is listed.
    async fn find_unknown(&self, known: &[String]) {
        let folders = fs::read_dir(self.home.run()).into_iter().flatten().flatten();
        for key in folders.filter_map(|entry| entry.file_name().into_string().ok()) {
            if known.contains(&key) {
                continue;
            }
            let Ok(link) = Link::connect(&self.folder(&key), &self.events).await else { continue };
            let app = link.ask("app", json!({})).await.ok().and_then(|app| serde_json::from_value::<App>(app).ok());
            let Some(app) = app.filter(|app| app.key() == key) else { continue };
            let stopped =
                link.status().is_some_and(|status| status.processes.iter().all(|one| one.state == State::Stopped));
            let added = self.change(|remembered| {
                remembered.next_id = app.ids.iter().map(|id| id + 1).chain([remembered.next_id]).max().unwrap_or(0);
                remembered.apps.push(Known { app, stopped });
            });
            // On a full disk it is found again by the next daemon.
            if added.is_ok() {
                self.know(&key, &link);
            }
        }
    }

    /// Starts keepers anew that have gone, though their apps have not. Returns whether all are there.
    pub async fn revive(&self) -> bool {
        let is_gone = |(key, link): (&String, &Rc<Link>)| link.is_gone().then(|| key.clone());
        let keys: Vec<String> = self.links.borrow().iter().filter_map(is_gone).collect();
        join_all(keys.iter().map(|key| self.link(key)).collect()).await.iter().all(Result::is_ok)
    }

    fn folder(&self, key: &str) -> PathBuf {
        self.home.run().join(key)
    }

    async fn new_keeper(&self, app: &App) -> Result<Rc<Link>, Failure> {
        let folder = self.folder(&app.key());
        let failed = |error: std::io::Error| {
            Failure::new("ERR_RCLUSTER_NOT_SAVED", format!("\"{}\" could not be kept: {error}", app.name))
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
        let (file, text) = (folder.join("app.json"), json!(app).to_string());
        // A keeper that has been killed can be replaced on a full disk, too. Nobody waits for the disk: what survives a power failure is the
        // daemon's own state, of which this is written anew.
        if fs::read(&file).ok().as_deref() != Some(text.as_bytes()) {
            write_whole(&file, text.as_bytes()).map_err(failed)?;
        }
        Link::open(&folder, &self.copies.of(&app.key()), &self.events).await
    }

    /// The line to an app's keeper, which is started if it is not there. Then what ran before it does again.
    async fn link(&self, key: &str) -> Result<Rc<Link>, Failure> {
        let open = || self.links.borrow().get(key).filter(|link| !link.is_gone()).cloned();
        if let Some(link) = open() {
            return Ok(link);
        }
        let turn = Rc::clone(self.starting.borrow_mut().entry(key.to_owned()).or_default());
        let _turn = turn.lock().await;
        if let Some(link) = open() {
            return Ok(link);
        }
        let Known { app, stopped } = self.find(key).ok_or_else(|| unknown(key))?;
        let link = match Link::connect(&self.folder(key), &self.events).await {
            Ok(link) => link,
            // It is there: another one could not take its place.
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                return Err(Failure::new(SILENT, format!("\"{}\": {error}", app.name)));
            }
            Err(_) => {
                let link = self.new_keeper(&app).await?;
                if !stopped {
                    // Nobody waits for it: what becomes of it is in the list.
                    let link = Rc::clone(&link);
                    tokio::task::spawn_local(async move { link.ask("resume", json!({})).await });
                }
                link
            }
        };
        self.know(key, &link);
        Ok(link)
    }

    /// Resolves when nobody starts an app's keeper any more, who would know it only after it should have been told to quit. Whoever comes
    /// later finds that the app is forgotten.
    async fn no_longer_starting(&self, key: &str) {
        let turn = self.starting.borrow().get(key).cloned();
        if let Some(turn) = turn {
            drop(turn.lock().await);
        }
    }

    fn know(&self, key: &str, link: &Rc<Link>) {
        self.copies.follow(key, self.folder(key), link);
        self.links.borrow_mut().insert(key.to_owned(), Rc::clone(link));
    }

    fn find(&self, key: &str) -> Option<Known> {
        self.remembered.borrow().apps.iter().find(|known| known.app.key() == key).cloned()
    }

    /// Changes what is remembered; on an error nothing is changed.
    fn change(&self, change: impl FnOnce(&mut Remembered)) -> Result<(), Failure> {
        let mut next = self.remembered.borrow().clone();
        change(&mut next);
        if next.apps.is_empty() {
            // As with PM2: whoever begins anew finds the numbers that scripts count on.
            next.next_id = 0;
        }
        if next == *self.remembered.borrow() {
            return Ok(());
        }
        self.store.save(&next).map_err(|error| not_saved(&error))?;
        self.remembered.replace(next);
        Ok(())
    }

    /// One that is told back as it was shown has the secret that is known, also under another name.
    fn with_secret(&self, app: App) -> App {
        let remembered = self.remembered.borrow();
        let has_same_url =
            |known: &&Known| known.app.webhook.as_ref().map(|one| &one.url) == app.webhook.as_ref().map(|one| &one.url);
        let own = remembered.apps.iter().find(|known| known.app.key() == app.key() && has_same_url(known));
        let known = own.or_else(|| remembered.apps.iter().find(has_same_url)).map(|known| known.app.clone());
        app.with_secret_of(known.as_ref())
    }

    /// Numbers are the daemon's to give, as nobody else knows which are free. One that gets another name keeps its own.
    fn with_known_ids(&self, mut app: App) -> App {
        let remembered = self.remembered.borrow();
        if !remembered.apps.iter().any(|known| app.ids.iter().all(|id| known.app.ids.contains(id))) {
            app.ids.clear();
        }
        app
    }

    /// What has to be done so that these apps run as they are described.
    fn plans(&self, apps: Vec<App>, options: Options) -> Result<Vec<Plan>, Failure> {
        let apps: Vec<App> = apps.into_iter().map(|app| self.with_known_ids(self.with_secret(app))).collect();
        let is_unknown = |app: &App| app.webhook.as_ref().is_some_and(|one| one.secret.as_deref() == Some(HIDDEN));
        if let Some(app) = apps.iter().find(|app| is_unknown(app)) {
            let text = format!(
                "the secret of the webhook of \"{}\" is not known: it must be given again with another \"url\"",
                app.name
            );
            return Err(Failure::new("ERR_RCLUSTER_BAD_APP", text));
        }
        for (index, app) in apps.iter().enumerate() {
            if apps[..index].iter().any(|other| other.key() == app.key()) {
                return Err(Failure::new("ERR_RCLUSTER_BAD_APP", format!("two apps are called \"{}\"", app.name)));
            }
        }
        let mut plans: Vec<Plan> =
            apps.into_iter().map(|app| plan::plan(self.find(&app.key()).as_ref(), app, options)).collect();
        if options.prune {
            let remembered = self.remembered.borrow();
            let others = remembered.apps.iter().map(|known| &known.app);
            let surplus: Vec<App> =
                others.filter(|app| plans.iter().all(|plan| plan.app.key() != app.key())).cloned().collect();
            plans.extend(surplus.into_iter().map(|app| Plan { app, action: Action::Delete, changes: Vec::new() }));
        }
        Ok(plans)
    }

    /// Starts apps: new ones, and those that are known under the same name with what is now said of them. Only what has to start
    /// anew does.
    pub async fn start(&self, apps: Vec<App>, options: Options) -> Result<Value, Failure> {
        let mut plans = self.plans(apps, options)?;
        if options.dry_run {
            return Ok(plans.iter().map(Plan::tell).collect());
        }
        let (surplus, kept): (Vec<_>, Vec<_>) = plans.drain(..).partition(|plan| plan.action == Action::Delete);
        let surplus: Vec<Target> = surplus.iter().map(|plan| Target { key: plan.app.key(), instances: None }).collect();
        if !surplus.is_empty() {
            self.delete(&surplus).await?;
        }
        plans = kept;
        let before: Vec<Option<Known>> = plans.iter().map(|plan| self.find(&plan.app.key())).collect();
        self.change(|remembered| {
            for plan in &mut plans {
                give_ids(&mut plan.app, &mut remembered.next_id);
                let known = remembered.apps.iter_mut().find(|known| known.app.key() == plan.app.key());
                let stays = plan.action != Action::Start && known.as_ref().is_some_and(|known| known.stopped);
                let next = Known { app: plan.app.clone(), stopped: stays || plan.action == Action::Add };
                match known {
                    Some(known) => *known = next,
                    None => remembered.apps.push(next),
                }
            }
        })?;
        for (plan, before) in plans.iter().zip(&before) {
            if before.is_none() || !plan.changes.is_empty() {
                let change = if before.is_none() { "added" } else { "changed" };
                self.events.app(change, &plan.app.name, &plan.app.namespace);
            }
        }
        let all = plans.iter().zip(&before);
        for result in join_all(all.map(|(plan, before)| self.bring_about(plan, before.as_ref())).collect()).await {
            result?;
        }
        // Starting many takes much that is not needed again.
        memory::give_back();
        let keys: Vec<String> = plans.iter().map(|plan| plan.app.key()).collect();
        let mut all = self.processes_of(&keys);
        for (status, plan) in all.iter_mut().zip(&plans) {
            status["action"] = json!(plan.action);
        }
        Ok(Value::Array(all))
    }

    async fn bring_about(&self, plan: &Plan, before: Option<&Known>) -> Result<(), Failure> {
        let key = plan.app.key();
        let link = self.link(&key).await?;
        if !plan.changes.is_empty()
            && let Err(failure) = link.ask("configure", json!({ "app": plan.app })).await
        {
            if REFUSED.contains(&failure.code.as_str()) {
                self.put_back(&plan.app, before);
            }
            return Err(failure);
        }
        let has_other_size = plan.changes.iter().any(|change| change.member == "instances");
        if has_other_size && matches!(plan.action, Action::Scale | Action::Reload) {
            link.ask("scale", json!({ "app": plan.app })).await?;
        }
        match plan.action {
            // It is listed, and somebody else starts it.
            _ if self.find(&key).is_some_and(|known| known.stopped) => Ok(()),
            Action::Restart => link.ask("restart", json!({})).await.map(drop),
            Action::Reload => self.reload_one(&Target { key, instances: None }, true).await.map(drop),
            // What runs already is left alone.
            _ => link.ask("start", json!({})).await.map(drop),
        }
    }

    /// An app's keeper goes by what it was: so do we, or the next time nothing would seem to be left to do.
    fn put_back(&self, app: &App, before: Option<&Known>) {
        let Some(before) = before else { return };
        let put_back = self.change(|remembered| {
            if let Some(known) = remembered.apps.iter_mut().find(|known| known.app == *app) {
                *known = before.clone();
            }
        });
        // On a disk that has become full meanwhile the next keeper goes by what was asked for.
        if put_back.is_ok() {
            self.events.app("changed", &app.name, &app.namespace);
        }
    }

    /// Whose keeper it is that says nothing.
    fn of(&self, key: &str, failure: Failure) -> Failure {
        match self.find(key) {
            Some(known) if failure.is_silence() => {
                Failure { message: format!("\"{}\": {}", known.app.name, failure.message), ..failure }
            }
            _ => failure,
        }
    }

    async fn start_one(&self, key: &str) -> Result<(), Failure> {
        self.link(key).await?.ask("start", json!({})).await.map(drop)
    }

    /// What apps are started with next has these variables as well.
    pub async fn update_env(&self, targets: &[Target], env: &BTreeMap<String, String>) -> Result<(), Failure> {
        let keys: Vec<&String> = targets.iter().map(|target| &target.key).collect();
        let with_env = |mut known: Known| {
            known.app.env.extend(env.clone());
            known
        };
        for known in keys.iter().filter_map(|key| self.find(key)) {
            with_env(known).app.check().map_err(|error| Failure::new("ERR_RCLUSTER_BAD_APP", error))?;
        }
        self.change(|remembered| {
            for known in remembered.apps.iter_mut().filter(|known| keys.contains(&&known.app.key())) {
                known.app.env.extend(env.clone());
            }
        })?;
        for key in keys {
            let app = self.find(key).ok_or_else(|| unknown(key))?.app;
            self.link(key).await?.ask("configure", json!({ "app": app })).await?;
        }
        Ok(())
    }

    /// Asks the keepers of these targets, all at once. Returns what their processes are doing then.
    pub async fn ask(&self, targets: &[Target], op: &str, request: Value) -> Result<Value, Failure> {
        let one = async |target: &Target| -> Result<(), Failure> {
            let mut request = request.clone();
            // A number names one; else the request itself may.
            if let Some(instances) = &target.instances {
                request["instances"] = json!(instances);
            }
            self.link(&target.key)
                .await?
                .ask(op, request)
                .await
                .map(drop)
                .map_err(|failure| self.of(&target.key, failure))
        };
        let stopped = match op {
            "stop" => Some(true),
            "start" | "restart" => Some(false),
            _ => None,
        };
        if let Some(stopped) = stopped {
            self.change(|remembered| {
                for known in &mut remembered.apps {
                    if targets.iter().any(|target| target.instances.is_none() && target.key == known.app.key()) {
                        known.stopped = stopped;
                    }
                }
            })?;
        }
        for result in join_all(targets.iter().map(one).collect()).await {
            result?;
        }
        let keys: Vec<String> = targets.iter().map(|target| target.key.clone()).collect();
        Ok(json!(self.processes_of(&keys)))
    }

    /// Replaces workers or instances. Returns for each app which it was, and the report of a cluster. `with_env`: the new workers of
    /// a cluster have the environment that is known now.
    pub async fn reload(&self, targets: &[Target], with_env: bool) -> Result<Value, Failure> {
        let all = targets.iter().map(|target| self.reload_one(target, with_env)).collect();
        join_all(all).await.into_iter().collect::<Result<Vec<_>, _>>().map(Value::Array)
    }

    async fn reload_one(&self, target: &Target, with_env: bool) -> Result<Value, Failure> {
        let app = self.find(&target.key).ok_or_else(|| unknown(&target.key))?.app;
        if app.mode == Mode::Cluster {
            return self.replace(target, "reload", with_env).await;
        }
        let link = self.link(&target.key).await?;
        let all = target.instances.clone().unwrap_or_else(|| (0..app.instances).collect());
        for instance in all {
            link.ask("restart", json!({ "instances": [instance] })).await?;
        }
        Ok(json!({ "name": app.name, "namespace": app.namespace, "kind": "one-by-one" }))
    }

    /// Replaces the workers of a cluster (`reload`), or its primary with them (`upgrade`).
    async fn replace(&self, target: &Target, op: &str, with_env: bool) -> Result<Value, Failure> {
        let app = self.find(&target.key).ok_or_else(|| unknown(&target.key))?.app;
        let env = with_env.then_some(&app.env);
        let about = |kind: &str, report: Value| json!({ "name": app.name, "namespace": app.namespace, "kind": kind, "report": report });
        let link = self.link(&target.key).await?;
        match link.ask(op, json!({ "env": env })).await {
            // Nothing is there to be replaced.
            Err(failure) if failure.code == "ERR_RCLUSTER_NOT_RUNNING" => {
                self.ask(std::slice::from_ref(target), "restart", json!({})).await?;
                Ok(about("restart", Value::Null))
            }
            // Its keeper starts another one, or has a reason not to: one starter is enough.
            Err(failure) if failure.code == PRIMARY_ENDED => {
                let settled = link.ask("settle", json!({})).await?;
                let is_online = settled["processes"][0]["state"] == json!(State::Online);
                if is_online { Ok(about("restart", Value::Null)) } else { Err(failure) }
            }
            other => other.map(|report| about("zero-loss", report)),
        }
    }

    /// Replaces the primaries of clusters. Returns for each which it was, and its report. `with_env`: as of a reload.
    pub async fn upgrade(&self, targets: &[Target], with_env: bool) -> Result<Value, Failure> {
        for target in targets {
            let app = self.find(&target.key).ok_or_else(|| unknown(&target.key))?.app;
            if app.mode != Mode::Cluster {
                let text = format!("\"{}\" is no cluster: it has no primary, reload or restart it instead", app.name);
                return Err(Failure::new("ERR_RCLUSTER_BAD_REQUEST", text));
            }
        }
        let all = targets.iter().map(|target| self.replace(target, "upgrade", with_env)).collect();
        join_all(all).await.into_iter().collect::<Result<Vec<_>, _>>().map(Value::Array)
    }

    /// Changes how many instances there are.
    pub async fn scale(&self, targets: &[Target], count: u32) -> Result<Value, Failure> {
        if count == 0 || count > 1024 {
            let text = format!("\"count\" must be a whole number from 1 to 1024. Received {count}");
            return Err(Failure::new("ERR_RCLUSTER_BAD_REQUEST", text));
        }
        let keys: Vec<String> = targets.iter().map(|target| target.key.clone()).collect();
        self.change(|remembered| {
            let Remembered { apps, next_id, .. } = remembered;
            for known in apps.iter_mut().filter(|known| keys.contains(&known.app.key())) {
                known.app.instances = count;
                give_ids(&mut known.app, next_id);
            }
        })?;
        let one = async |key: &String| -> Result<(), Failure> {
            let known = self.find(key).ok_or_else(|| unknown(key))?;
            let link = self.link(key).await?;
            link.ask("scale", json!({ "app": known.app })).await?;
            if !known.stopped && known.app.mode == Mode::Program {
                link.ask("start", json!({})).await?;
            }
            Ok(())
        };
        for result in join_all(keys.iter().map(one).collect()).await {
            result?;
        }
        Ok(json!(self.processes_of(&keys)))
    }

    /// Stops apps and forgets them.
    pub async fn delete(&self, targets: &[Target]) -> Result<Value, Failure> {
        let keys: Vec<String> = targets.iter().map(|target| target.key.clone()).collect();
        let gone: Vec<Known> = keys.iter().filter_map(|key| self.find(key)).collect();
        self.change(|remembered| remembered.apps.retain(|known| !keys.contains(&known.app.key())))?;
        let one = async |known: &Known| {
            self.no_longer_starting(&known.app.key()).await;
            let link = self.links.borrow_mut().remove(&known.app.key())?;
            let failure = link.ask("quit", json!({})).await.err().filter(Failure::is_silence)?;
            // What it has still runs, and has to be found again.
            self.links.borrow_mut().insert(known.app.key(), link);
            Some(failure)
        };
        let left: Vec<Option<Failure>> = join_all(gone.iter().map(one).collect()).await;
        let (left, gone): (Vec<_>, Vec<_>) = gone.into_iter().zip(left).partition(|(_, failure)| failure.is_some());
        self.change(|remembered| remembered.apps.extend(left.iter().map(|(known, _)| known.clone())))?;
        for (Known { app, .. }, _) in &gone {
            let key = &app.key();
            self.copies.forget(key);
            self.looks.forget(key);
            // Only what a keeper has left there; a log elsewhere stays.
            let _ = fs::remove_dir_all(self.folder(key));
        }
        for (Known { app, .. }, _) in gone {
            self.events.app("deleted", &app.name, &app.namespace);
        }
        match left.into_iter().find_map(|(known, failure)| Some((known.app.name, failure?))) {
            Some((name, failure)) => Err(Failure { message: format!("\"{name}\": {}", failure.message), ..failure }),
            None => Ok(json!([])),
        }
    }

    /// Stops all apps and forgets them, but for what [`Apps::save`] has kept.
    pub async fn quit_all(&self) -> Result<(), Failure> {
        self.change(|remembered| remembered.apps.clear())?;
        let starting: Vec<String> = self.starting.borrow().keys().cloned().collect();
        join_all(starting.iter().map(|key| self.no_longer_starting(key)).collect()).await;
        let links = std::mem::take(&mut *self.links.borrow_mut());
        join_all(links.values().map(|link| link.ask("quit", json!({}))).collect()).await;
        for key in links.keys() {
            self.copies.forget(key);
            self.looks.forget(key);
        }
        Ok(())
    }

    /// Keeps what runs now for [`Apps::resurrect`].
    pub fn save(&self) -> Result<Value, Failure> {
        let remembered = self.remembered.borrow();
        self.dump.save(&remembered).map_err(|error| not_saved(&error))?;
        Ok(json!({ "apps": remembered.apps.len() }))
    }

    /// Starts what [`Apps::save`] has kept and is not known now: the same names and instances, and the same numbers unless others have them by now.
    pub async fn resurrect(&self) -> Result<Value, Failure> {
        let (dumped, _) = self.dump.load();
        let mut keys = Vec::new();
        self.change(|remembered| {
            remembered.next_id = remembered.next_id.max(dumped.next_id);
            for mut known in dumped.apps {
                let is_taken = |id: &u64| remembered.apps.iter().any(|other| other.app.ids.contains(id));
                if known.app.ids.iter().any(is_taken) {
                    known.app.ids.clear();
                    give_ids(&mut known.app, &mut remembered.next_id);
                }
                if remembered.apps.iter().all(|other| other.app.key() != known.app.key()) {
                    keys.push((known.app.key(), known.stopped));
                    remembered.apps.push(known);
                }
            }
        })?;
        let one = async |(key, stopped): &(String, bool)| match stopped {
            true => self.link(key).await.map(drop),
            false => self.start_one(key).await,
        };
        for result in join_all(keys.iter().map(one).collect()).await {
            result?;
        }
        Ok(json!(self.processes_of(&keys.into_iter().map(|(key, _)| key).collect::<Vec<_>>())))
    }

    /// What an app is; its environment only where that is asked for.
    pub fn describe(&self, target: &Target, with_env: bool) -> Result<Value, Failure> {
        let known = self.find(&target.key).ok_or_else(|| unknown(&target.key))?;
        let mut app = json!(known.app.without_secrets());
        if !with_env && let Some(app) = app.as_object_mut() {
            app.remove("env");
        }
        Ok(app)
    }

    /// Each app with its processes.
    pub fn list(&self) -> Vec<Value> {
        let keys: Vec<String> = self.remembered.borrow().apps.iter().map(|known| known.app.key()).collect();
        self.processes_of(&keys)
    }

    /// The same for Prometheus.
    pub async fn metrics(&self, open: bool) -> Result<String, Failure> {
        let keys: Vec<String> = self.remembered.borrow().apps.iter().map(|known| known.app.key()).collect();
        let statuses = self.statuses_of(&keys);
        let links = self.links.borrow().clone();
        let asked = |(app, _): &&(App, Option<Status>)| app.cluster_args.iter().any(|arg| arg == APP_METRICS);
        let asking = statuses.iter().filter(asked).filter_map(|(app, _)| {
            let link = Rc::clone(links.get(&app.key())?);
            Some(async move { (metrics::label(&app.name, &app.namespace), link.app_metrics(metrics::TIME).await) })
        });
        let told = join_all(asking.collect()).await;
        let (mut own, mut dropped) = (metrics::OwnMetrics::default(), self.dropped.borrow_mut());
        for (app, told) in told {
            own.add(&app, told.as_deref(), &mut dropped);
        }
        let names: BTreeSet<String> =
            statuses.iter().map(|(app, _)| metrics::label(&app.name, &app.namespace)).collect();
        dropped.keep(|name| names.contains(name));
        let known = statuses
            .iter()
            .filter_map(|(app, status)| Some((app.name.as_str(), app.namespace.as_str(), status.as_ref()?)));
        metrics::text(known, &own, &dropped, open)
            .map_err(|error| Failure::new("ERR_RCLUSTER_INTERNAL", error.to_string()))
    }

    /// Apps with what their keepers tell, what the kernel says of their processes, and what is on the boards of workers.
    fn statuses_of(&self, keys: &[String]) -> Vec<(App, Option<Status>)> {
        let mut statuses: Vec<(App, Option<Status>)> = keys
            .iter()
            .filter_map(|key| {
                let app = self.find(key)?.app;
                let status = self.links.borrow().get(key).filter(|link| !link.is_gone()).and_then(|link| link.status());
                Some((app, status))
            })
            .collect();
        for (app, status) in &mut statuses {
            if let Some(status) = status {
                self.looks.fill(&app.key(), status, self.copies.figures(&app.key()));
            }
        }
        self.figures.fill(statuses.iter_mut().filter_map(|(_, status)| status.as_mut()));
        statuses
    }

    fn processes_of(&self, keys: &[String]) -> Vec<Value> {
        self.statuses_of(keys)
            .into_iter()
            .map(|(app, status)| {
                let processes = status.as_ref().map_or_else(|| nobody(&app), |status| status.processes.clone());
                json!({
                    "name": app.name, "namespace": app.namespace, "mode": app.mode, "script": app.script, "cwd": app.cwd,
                    "instances": app.instances, "ids": app.ids, "keeper": status.as_ref().map(|status| status.keeper), "processes": processes,
                    "nextRun": status.as_ref().and_then(|status| status.next_run),
                    "watching": status.as_ref().and_then(|status| status.watching.clone()),
                    "recent": status.as_ref().and_then(|status| status.recent.as_ref()),
                    "workers": status.map(|status| status.workers).unwrap_or_default(),
                })
            })
            .collect()
    }

    /// What a word on the command line means: see [`targets::find`].
    pub fn targets(&self, word: &str) -> Result<Vec<Target>, Failure> {
        targets::find(&self.remembered.borrow().apps, word)
    }

    /// Forgets what [`Apps::save`] has kept.
    pub fn clear_dump(&self) -> Result<Value, Failure> {
        self.dump.save(&Remembered::default()).map_err(|error| not_saved(&error))?;
        Ok(json!({ "apps": 0 }))
    }
}

/// Each instance has a number in listings; those that an app had before it keeps.
fn give_ids(app: &mut App, next: &mut u64) {
    app.ids.truncate(app.instances as usize);
    while app.ids.len() < app.instances as usize {
        app.ids.push(*next);
        *next += 1;
    }
}

/// What is told of processes whose keeper is not there.
fn nobody(app: &App) -> Vec<Process> {
    (0..app.processes())
        .map(|instance| Process {
            instance,
            id: app.ids.get(instance as usize).copied(),
            pid: None,
            state: State::Errored,
            started_at: None,
            restarts: 0,
            unstable_restarts: 0,
            exit_code: None,
            signal: None,
            last_error: Some("its keeper is not there".into()),
            status_text: None,
            reloading: false,
            upgrading: false,
            memory: 0,
            cpu_time: 0,
            cpu: 0.0,
            threads: 0,
            descriptors: 0,
        })
        .collect()
}

fn not_saved(error: &std::io::Error) -> Failure {
    Failure::new(
        "ERR_RCLUSTER_NOT_SAVED",
        format!("what should run could not be written down, so nothing was changed: {error}"),
    )
}

/// All of them, at the same time.
async fn join_all<T>(tasks: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut tasks: Vec<_> = tasks.into_iter().map(|task| (Box::pin(task), None)).collect();
    std::future::poll_fn(|context| {
        for (task, result) in tasks.iter_mut().filter(|(_, result)| result.is_none()) {
            if let std::task::Poll::Ready(value) = task.as_mut().poll(context) {
                *result = Some(value);
            }
        }
        if tasks.iter().all(|(_, result)| result.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    tasks.into_iter().filter_map(|(_, result)| result).collect()
}
