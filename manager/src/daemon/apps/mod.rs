//! The apps that a daemon knows, and what becomes of them.

mod act;
mod keepers;
mod start;
mod tell;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::{Mutex, Notify};

use crate::daemon::copies::Copies;
use crate::daemon::events::Events;
use crate::daemon::figures::Figures;
use crate::daemon::home::Home;
use crate::daemon::link::{Failure, Link};
use crate::daemon::metrics;
use crate::daemon::nursery::Nursery;
use crate::daemon::recent::Looks;
use crate::daemon::store::{Known, Remembered, Store};
use crate::daemon::targets::{self, Target};
use crate::logs::place;
use crate::model::App;

/// All apps of a daemon.
pub struct Apps {
    home: Home,
    store: Store,
    dump: Store,
    remembered: RefCell<Remembered>,
    /// Where each is in that, by its key.
    places: RefCell<HashMap<String, usize>>,
    /// Why what is remembered is not written down, while that is so.
    unsaved: RefCell<Option<String>>,
    /// Told when that begins.
    late: Notify,
    links: RefCell<BTreeMap<String, Rc<Link>>>,
    copies: Copies,
    nursery: Nursery,
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
                nursery: Nursery::new(home.run(), home.file("daemon.log")),
                home,
                store,
                dump,
                places: RefCell::new(places(&remembered)),
                remembered: RefCell::new(remembered),
                unsaved: RefCell::default(),
                late: Notify::new(),
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

    /// What a word on the command line means: see [`targets::find`].
    pub fn targets(&self, word: &str) -> Result<Vec<Target>, Failure> {
        targets::find(&self.remembered.borrow().apps, word)
    }

    fn find(&self, key: &str) -> Option<Known> {
        let place = *self.places.borrow().get(key)?;
        self.remembered.borrow().apps.get(place).cloned()
    }

    /// Changes what is remembered; on an error nothing is changed. For what is new.
    fn change(&self, change: impl FnOnce(&mut Remembered)) -> Result<(), Failure> {
        let Some(next) = self.changed(change) else { return Ok(()) };
        self.store.save(&next).map_err(|error| not_saved(&error))?;
        self.unsaved.take();
        self.remember(next);
        Ok(())
    }

    /// The same for what is known. Whoever stops a program that has filled the disk is not told to make room first: what cannot be written down is
    /// done, and written down later ([`Apps::save_late`]).
    fn change_anyway(&self, change: impl FnOnce(&mut Remembered)) {
        let Some(next) = self.changed(change) else { return };
        match self.store.save(&next) {
            Ok(()) => drop(self.unsaved.take()),
            Err(error) => self.is_unsaved(&error),
        }
        self.remember(next);
    }

    fn is_unsaved(&self, error: &std::io::Error) {
        let was_saved = self.unsaved.replace(Some(format!("{error}{}", help(error)))).is_none();
        if was_saved {
            self.late.notify_one();
        }
    }

    /// Why what was done last is not written down, if it is not.
    pub fn unsaved(&self) -> Option<String> {
        self.unsaved.borrow().clone()
    }

    /// Resolves when something could not be written down.
    pub async fn cannot_save(&self) {
        self.late.notified().await;
    }

    /// Tries again to write down what could not be. Returns whether nothing is left of that.
    pub fn save_late(&self) -> bool {
        if self.unsaved.borrow().is_some() {
            match self.store.save(&self.remembered.borrow()) {
                Ok(()) => drop(self.unsaved.take()),
                Err(error) => self.is_unsaved(&error),
            }
        }
        self.unsaved.borrow().is_none()
    }

    /// What would be remembered; nothing where that is what is.
    fn changed(&self, change: impl FnOnce(&mut Remembered)) -> Option<Remembered> {
        let mut next = self.remembered.borrow().clone();
        change(&mut next);
        if next.apps.is_empty() {
            // As with PM2: whoever begins anew finds the numbers that scripts count on.
            next.next_id = 0;
        }
        (next != *self.remembered.borrow()).then_some(next)
    }

    fn remember(&self, next: Remembered) {
        self.places.replace(places(&next));
        self.remembered.replace(next);
    }

    /// Keeps what runs now for [`Apps::resurrect`].
    pub fn save(&self) -> Result<Value, Failure> {
        let remembered = self.remembered.borrow();
        self.dump.save(&remembered).map_err(|error| not_saved(&error))?;
        Ok(json!({ "apps": remembered.apps.len() }))
    }

    /// Forgets what [`Apps::save`] has kept.
    pub fn clear_dump(&self) -> Result<Value, Failure> {
        self.dump.save(&Remembered::default()).map_err(|error| not_saved(&error))?;
        Ok(json!({ "apps": 0 }))
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
                if !remembered.apps.iter().any(|other| other.app.is_called_as(&known.app)) {
                    keys.push((known.app.key(), known.stopped));
                    remembered.apps.push(known);
                }
            }
        })?;
        let one = async |(key, stopped): &(String, bool)| match stopped {
            true => self.link(key).await.map(drop),
            false => self.start_one(key).await,
        };
        for result in join_all(keys.iter().map(one)).await {
            result?;
        }
        Ok(json!(self.processes_of(&keys.into_iter().map(|(key, _)| key).collect::<Vec<_>>())))
    }
}

fn places(remembered: &Remembered) -> HashMap<String, usize> {
    remembered.apps.iter().enumerate().map(|(place, known)| (known.app.key(), place)).collect()
}

fn help(error: &std::io::Error) -> &'static str {
    if place::is_full(error) { "; rcluster flush empties logs" } else { "" }
}

fn not_saved(error: &std::io::Error) -> Failure {
    let help = help(error);
    Failure::new(
        "ERR_RCLUSTER_NOT_SAVED",
        format!("what should run could not be written down, so nothing was changed: {error}{help}"),
    )
}

/// Each instance has a number in listings; those that an app had before it keeps.
fn give_ids(app: &mut App, next: &mut u64) {
    app.ids.truncate(app.instances as usize);
    while app.ids.len() < app.instances as usize {
        app.ids.push(*next);
        *next += 1;
    }
}
