//! A database server that the tests of an original need: started for one run of them, gone at its end however that is.
//!
//! A shell holds the server and waits on a pipe. When the pipe closes, because the run is done or was killed, the shell
//! ends the server and removes its folder. The server listens on a socket in that folder alone, and the tests are told
//! where by the variables of the environment that its clients read: so the tests' URLs are the same at every run.

use std::env;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::step::{Outcome, Problem};

/// How long a server may take until it is ready: far more than it ever needs.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Makes a cluster, runs the server on it until standard input ends, then cleans up. Arguments: the folder of the
/// programs, the folder of the cluster.
const KEEPER: &str = r#"
"$1/initdb" -D "$2/data" -U postgres -A trust -E UTF8 --locale=C -N >"$2/log" 2>&1 || exit 1
"$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c fsync=off -c full_page_writes=off \
    -c shared_buffers=16MB -c max_connections=100 -c timezone=UTC -c logging_collector=off -c autovacuum=off \
    >>"$2/log" 2>&1 </dev/null &
server=$!
read -r line
kill -QUIT $server 2>/dev/null
wait $server
rm -rf "$2"
"#;

/// A running server of PostgreSQL, of which `postgres` is the superuser and a database.
pub(crate) struct PostgresServer {
    keeper: Child,
    folder: PathBuf,
}

impl PostgresServer {
    /// Starts one; nothing where PostgreSQL is not installed.
    pub(crate) fn start() -> Outcome<Option<PostgresServer>> {
        let Some(programs) = programs() else { return Ok(None) };
        // Short, since the path of a socket is.
        let folder = env::temp_dir().join(format!("naja-conformance-pg-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).map_err(|error| Problem::path("make", &folder, &error))?;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", KEEPER, "sh"]).arg(&programs).arg(&folder);
        command.current_dir("/").env_remove("PGDATA").env_remove("PGOPTIONS").env("LC_ALL", "C");
        // The server refuses to run as root.
        if is_owned_by_root(&folder)
            && let Some((user, group)) = unprivileged()
        {
            chown(&folder, Some(user), Some(group))
                .and_then(|()| fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)))
                .map_err(|error| Problem::path("give away", &folder, &error))?;
            command.uid(user).gid(group);
        }
        // What ends the run's own group, such as Ctrl-C, would end the keeper before it has cleaned up.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let keeper = command.spawn().map_err(|error| Problem::path("start", Path::new("/bin/sh"), &error))?;
        let mut server = PostgresServer { keeper, folder };
        server.wait()?;
        Ok(Some(server))
    }

    fn wait(&mut self) -> Outcome<()> {
        let until = Instant::now() + READY_WITHIN;
        loop {
            let status = fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap_or_default();
            // The eighth line says how far it is.
            if status.lines().nth(7).is_some_and(|line| line.trim() == "ready") {
                return Ok(());
            }
            let has_ended = self.keeper.try_wait().is_ok_and(|status| status.is_some());
            if has_ended || Instant::now() > until {
                let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                let last = log.lines().last().unwrap_or("it says nothing").to_owned();
                return Err(Problem::new(format!("PostgreSQL does not start: {last}")));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What its clients have to find in their environment: those of libpq, and whoever reads the same variables.
    pub(crate) fn variables(&self) -> [(&'static str, String); 3] {
        [
            ("PGHOST", self.folder.display().to_string()),
            ("PGPORT", "5432".to_owned()),
            ("PGUSER", "postgres".to_owned()),
        ]
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The folder of the newest server's programs. Debian's are named after the version, and are on nobody's path.
fn programs() -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    versions.sort_by_key(|folder| folder.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()));
    let on_path = env::var_os("PATH").unwrap_or_default();
    versions
        .iter()
        .rev()
        .map(|folder| folder.join("bin"))
        .chain(env::split_paths(&on_path))
        .find(|folder| folder.join("postgres").is_file() && folder.join("initdb").is_file())
}

fn is_owned_by_root(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).is_ok_and(|metadata| metadata.uid() == 0)
}

/// The user that Debian makes for PostgreSQL, or nobody.
fn unprivileged() -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    ["postgres", "nobody"].iter().find_map(|name| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}
