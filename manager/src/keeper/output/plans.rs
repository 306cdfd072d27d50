//! What becomes of the log files of an app.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::logs::place::{self, Stream};
use crate::logs::sink::Plan;
use crate::model::{App, Mode};

/// All log files of an app.
pub fn family(app: &App, home: &Path) -> Vec<PathBuf> {
    let primary = (app.mode == Mode::Cluster).then_some(place::NO_INSTANCE);
    let mut family: Vec<_> = (0..app.instances)
        .chain(primary)
        .flat_map(|instance| {
            let streams = [Stream::Out, Stream::Error].map(|stream| place::file(app, home, instance, stream));
            streams.into_iter().chain([place::common_file(app, instance)]).flatten()
        })
        .collect();
    family.sort();
    family.dedup();
    family
}

/// What becomes of one of them.
pub fn plan(app: &App, home: &Path, path: PathBuf, family: &[PathBuf]) -> Arc<Plan> {
    Arc::new(Plan {
        path,
        home: home.to_owned(),
        max_size: app.max_size,
        retain: app.retain,
        max_total: app.max_total,
        rotate: app.rotate,
        compress: app.compress,
        family: family.to_vec(),
    })
}

/// What becomes of each log file of an app.
pub fn plans(app: &App, home: &Path) -> Vec<Arc<Plan>> {
    let family = family(app, home);
    family.iter().map(|path| plan(app, home, path.clone(), &family)).collect()
}
