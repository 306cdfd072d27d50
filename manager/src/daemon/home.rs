//! The folder that holds everything: `$RCLUSTER_HOME`, or `~/.rcluster`.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The longest path that a socket's address holds, with its end.
const LONGEST_SOCKET_PATH: usize = 108;
/// The longest path of a socket below the home: `run/<key of 40>/keeper.sock.<number>`.
const BELOW: usize = "/run//keeper.4194304".len() + 40;

/// The home of a daemon.
#[derive(Clone, Debug)]
pub struct Home {
    path: PathBuf,
}

impl Home {
    /// Makes the folder if it is missing. One that belongs to somebody else, or that somebody else may write to, is refused.
    pub fn open(path: &Path) -> io::Result<Home> {
        let said = |kind: io::ErrorKind, text: String| io::Error::new(kind, text);
        if path.as_os_str().len() + BELOW >= LONGEST_SOCKET_PATH {
            let most = LONGEST_SOCKET_PATH - BELOW - 1;
            let text =
                format!("the home \"{}\" is too long for the sockets in it: at most {most} bytes", path.display());
            return Err(said(io::ErrorKind::InvalidInput, text));
        }
        let cannot =
            |error: io::Error| said(error.kind(), format!("the home \"{}\" cannot be used: {error}", path.display()));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(cannot)?;
        let data = fs::metadata(path).map_err(cannot)?;
        let me = nix::unistd::geteuid().as_raw();
        if data.uid() != me {
            let text = format!("the home \"{}\" belongs to user {}, and this is user {me}", path.display(), data.uid());
            return Err(said(io::ErrorKind::PermissionDenied, text));
        }
        if data.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(cannot)?;
        }
        let home = Home { path: path.to_owned() };
        for folder in [home.run(), home.logs()] {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(cannot)?;
        }
        Ok(home)
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Where keepers have their folders.
    pub fn run(&self) -> PathBuf {
        self.path.join("run")
    }

    /// Where log files are.
    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_for_its_user_alone_and_short_enough() {
        let path = std::env::temp_dir().join(format!("rclusterd-home-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Home::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        fs::remove_dir_all(&path).unwrap();
        let long = path.join("x".repeat(80));
        assert_eq!(Home::open(&long).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
