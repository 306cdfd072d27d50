//! A new executable takes the daemon's place: the same process, the same lock, the same socket. Keepers and programs do not notice;
//! whoever asks meanwhile waits in the socket's queue.

use std::cell::Cell;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::link::Failure;

/// How long the new executable may take to say its version.
const SAYS: Duration = Duration::from_secs(5);

/// Makes sure that an executable is a daemon. Returns it with its version.
pub async fn check(executable: Option<PathBuf>) -> Result<(PathBuf, String), Failure> {
    let refused = |text: String| Failure::new("ERR_RCLUSTER_UPDATE", text);
    let executable = match executable {
        Some(executable) => executable,
        None => own_path().map_err(|error| refused(format!("the executable cannot be found: {error}")))?,
    };
    let path = executable.clone();
    let _asking = Asking::begin();
    let asked = tokio::task::spawn_blocking(move || {
        Command::new(path).arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).output()
    });
    let shown = executable.display();
    let output = match tokio::time::timeout(SAYS, asked).await {
        Err(_) => return Err(refused(format!("\"{shown}\" does not say its version"))),
        Ok(Err(error)) => return Err(refused(error.to_string())),
        Ok(Ok(Err(error))) => return Err(refused(format!("\"{shown}\" cannot be executed: {error}"))),
        Ok(Ok(Ok(output))) => output,
    };
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    match words.trim().strip_prefix("rclusterd ") {
        Some(version) if output.status.success() => Ok((executable, version.to_owned())),
        _ => Err(refused(format!("\"{shown}\" is no rclusterd"))),
    }
}

thread_local! {
    static ASKING: Cell<bool> = const { Cell::new(false) };
}

/// As long as it lives a child runs that we wait for.
struct Asking;

impl Asking {
    fn begin() -> Asking {
        ASKING.set(true);
        Asking
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        ASKING.set(false);
    }
}

/// Whether an executable is being asked for its version.
pub fn is_asking() -> bool {
    ASKING.get()
}

/// Where we were started from; another file may be there by now.
fn own_path() -> std::io::Result<PathBuf> {
    let path = std::env::current_exe()?;
    let text = path.to_string_lossy();
    Ok(text.strip_suffix(" (deleted)").map_or_else(|| path.clone(), PathBuf::from))
}

/// The words that the new executable is started with.
pub fn words(home: &Path, (foreground, resurrect): (bool, bool), lock: i32, listener: i32) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["daemon".into(), "--home".into(), home.into()];
    words.extend(foreground.then(|| "--foreground".into()));
    words.extend(resurrect.then(|| "--resurrect".into()));
    words.extend(["--handed".into(), format!("{lock},{listener}").into()]);
    words
}
