//! A PostgreSQL server for one test: started on a copy of an empty cluster, gone at the end however the test ends.
//!
//! A shell holds the server and waits on a pipe. When the pipe closes, because the test is done, has panicked or was
//! killed, the shell ends the server and removes its folder. Start at [`PostgresServer::start`].

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::data_folder::{RunAs, copy_tree};
use crate::database_options::{Certificates, ServerOptions};
use crate::not_tested;

/// How long a server may take until it is ready, before the test fails: far more than it ever needs.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Who may log in how. On the socket everyone may; on the network some have to prove who they are, or to encrypt.
const WHO_MAY: &str = "\
local   all all                   trust
hostssl all tls_user      all     scram-sha-256
host    all tls_user      all     reject
host    all md5_user      all     md5
host    all scram_user    all     scram-sha-256
host    all clear_user    all     password
host    all rejected_user all     reject
host    all all           all     trust
";

/// What a server is told, whatever it is for.
const OPTIONS: [&str; 7] = [
    "listen_addresses=127.0.0.1",
    "shared_buffers=16MB",
    "max_connections=100",
    "timezone=UTC",
    "logging_collector=off",
    "autovacuum=off",
    "log_min_messages=warning",
];

/// Nothing is waited for on its way to the disk: what a test of the protocol wants.
const FAST: [&str; 3] = ["fsync=off", "full_page_writes=off", "synchronous_commit=on"];

/// What was committed is there after the server was killed.
const DURABLE: [&str; 3] = ["fsync=on", "full_page_writes=on", "synchronous_commit=on"];

/// Starts the server once for each line of standard input; ends it and cleans up when that ends. Arguments: the folder,
/// then the server and what it is told.
const KEEPER: &str = r#"
folder=$1
shift
server=
times=0
end() {
    # A server that has only begun to start does not hear it the first time.
    (while kill -QUIT $server 2>/dev/null; do sleep 0.1; done) &
    again=$!
    wait $server
    kill $again 2>/dev/null
    wait $again
}
while read -r line; do
    test -z "$server" || end
    times=$((times + 1))
    "$@" >"$folder/log.$times" 2>&1 </dev/null &
    server=$!
    echo $server >"$folder/process.$times"
done
test -z "$server" || end
rm -rf "$folder"
"#;

/// A running server, of which `postgres` is the superuser and a database.
pub struct PostgresServer {
    keeper: Child,
    folder: PathBuf,
    port: u16,
    /// How many times it was started.
    starts: u32,
}

/// Where PostgreSQL's programs are, and as whom they run.
struct Installation {
    programs: PathBuf,
    version: String,
    run_as: RunAs,
}

impl PostgresServer {
    /// Starts a server of its own for one test; none, and [`not_tested`], where PostgreSQL is not installed.
    ///
    /// `cache` is a folder that outlives the test, where the empty cluster is kept:
    /// `Path::new(env!("CARGO_TARGET_TMPDIR"))` in an integration test. Cost: some 0.3 s, a second more at the first time.
    ///
    /// # Panics
    /// When it is installed and does not start: the test cannot go on.
    pub fn start(cache: &Path) -> Option<PostgresServer> {
        PostgresServer::start_with(cache, ServerOptions::default())
    }

    /// As [`PostgresServer::start`], and what was committed outlives [`PostgresServer::kill`].
    ///
    /// # Panics
    /// As [`PostgresServer::start`].
    pub fn start_durable(cache: &Path) -> Option<PostgresServer> {
        PostgresServer::start_with(cache, ServerOptions { is_durable: true, ..ServerOptions::default() })
    }

    /// As [`PostgresServer::start`], one that is as it is `wanted`.
    ///
    /// # Panics
    /// As [`PostgresServer::start`].
    pub fn start_with(cache: &Path, wanted: ServerOptions) -> Option<PostgresServer> {
        let Some(installation) = Installation::find() else {
            not_tested("PostgreSQL: no server is installed");
            return None;
        };
        let template = installation.template(cache);
        // Another test may take the port that was free a moment ago.
        let started = (0..5).find_map(|_| installation.start(&template, wanted));
        Some(started.expect("PostgreSQL starts on some port"))
    }

    /// The one server that all tests of this process share; as [`PostgresServer::start`].
    ///
    /// # Panics
    /// As [`PostgresServer::start`].
    pub fn shared(cache: &Path) -> Option<&'static PostgresServer> {
        static SHARED: OnceLock<Option<PostgresServer>> = OnceLock::new();
        SHARED.get_or_init(|| PostgresServer::start(cache)).as_ref()
    }

    /// The folder of its Unix socket.
    pub fn socket_folder(&self) -> &Path {
        &self.folder
    }

    /// Its port on 127.0.0.1, and in the name of its socket.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The files for TLS, where it was asked to encrypt.
    pub fn certificates(&self) -> Certificates {
        Certificates::of(&self.folder)
    }

    /// What it has written to its log since it was started last.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join(format!("log.{}", self.starts))).unwrap_or_default()
    }

    /// Starts it again on its data, after it was ended; it is ended first if it runs, without saying goodbye.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        assert!(self.start_once(), "PostgreSQL starts again: {}", self.log());
    }

    /// Lets the keeper start it, and waits until it is ready; false when its port is taken.
    fn start_once(&mut self) -> bool {
        let until = Instant::now() + READY_WITHIN;
        self.ask_keeper();
        loop {
            let pid_file = pid_file(&self.folder).unwrap_or_default();
            let process = self.folder.join(format!("process.{}", self.starts));
            // The first line is the server's process, unless the file is of the time before; the eighth says how far it is.
            let is_own = fs::read_to_string(process).is_ok_and(|process| {
                pid_file.lines().next().is_some_and(|line| line.trim() == process.trim())
            });
            if is_own && pid_file.lines().nth(7).is_some_and(|status| status.trim() == "ready") {
                return true;
            }
            let log = self.log();
            if log.contains("could not bind") || log.contains("could not create any TCP/IP sockets") {
                return false;
            }
            if log.contains("pre-existing shared memory block") {
                // Processes of a server that was killed have not seen it yet.
                std::thread::sleep(Duration::from_millis(20));
                self.ask_keeper();
            } else {
                assert!(!log.contains("FATAL"), "PostgreSQL does not start: {log}");
            }
            assert!(Instant::now() < until, "PostgreSQL does not start: {log}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn ask_keeper(&mut self) {
        self.starts += 1;
        let keeper = self.keeper.stdin.as_mut().expect("the keeper listens until the end");
        keeper.write_all(b"start\n").expect("the keeper listens");
    }

    /// Ends one of its processes, or the server itself if none is named, without asking.
    ///
    /// # Panics
    /// When there is no such process.
    pub fn kill(&self, process: Option<u32>) {
        let process = process.or_else(|| pid_file(&self.folder)?.lines().next()?.parse().ok());
        let process = process.expect("the server runs").to_string();
        let killed = Command::new("sh").args(["-c", "kill -9 \"$1\"", "sh", &process]).status();
        assert!(killed.is_ok_and(|status| status.success()), "process {process} can be ended");
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

fn pid_file(folder: &Path) -> Option<String> {
    fs::read_to_string(folder.join("data/postmaster.pid")).ok()
}

impl Installation {
    fn find() -> Option<Installation> {
        // Debian's folders are named after the version, and are on nobody's path.
        let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        versions.sort_by_key(|folder| folder.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()));
        let on_path = std::env::var_os("PATH").unwrap_or_default();
        let programs = versions
            .iter()
            .rev()
            .map(|folder| folder.join("bin"))
            .chain(std::env::split_paths(&on_path))
            .find(|folder| folder.join("postgres").is_file() && folder.join("initdb").is_file())?;
        let version = Command::new(programs.join("postgres")).arg("--version").output().ok()?;
        let version = String::from_utf8_lossy(&version.stdout);
        let version =
            version.split_whitespace().find(|word| word.starts_with(|letter: char| letter.is_ascii_digit()));
        let version = version.unwrap_or("unknown").to_owned();
        // The user that Debian makes for PostgreSQL, or nobody.
        let run_as = RunAs::find(&["postgres", "nobody"])?;
        Some(Installation { programs, version, run_as })
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = self.run_as.command(program);
        command.env_remove("PGDATA").env_remove("PGOPTIONS");
        command
    }

    /// An empty cluster, made once and kept.
    fn template(&self, cache: &Path) -> PathBuf {
        fs::create_dir_all(cache).expect("the folder for what tests keep can be made");
        let template = cache.join(format!("postgres-{}-2", self.version));
        let lock =
            File::create(cache.join("postgres.lock")).expect("the folder for what tests keep is writable");
        lock.lock().expect("the file can be locked");
        if !template.exists() {
            let made = self.run_as.folder("naja-pg-");
            let data = made.join("data");
            let output = self
                .command(&self.programs.join("initdb"))
                .arg("-D")
                .arg(&data)
                .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N", "--wal-segsize=1"])
                .output()
                .expect("initdb can be run");
            assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
            fs::write(data.join("pg_hba.conf"), WHO_MAY).expect("the cluster is writable");
            let unfinished = cache.join(format!("postgres-{}", std::process::id()));
            copy_tree(&data, &unfinished, &|_| {});
            fs::rename(&unfinished, &template).expect("the copy can be renamed");
            let _ = fs::remove_dir_all(&made);
        }
        template
    }

    /// Starts a server; none when its port was taken meanwhile.
    fn start(&self, template: &Path, wanted: ServerOptions) -> Option<PostgresServer> {
        let folder = self.run_as.folder("naja-pg-");
        copy_tree(template, &folder.join("data"), &|path| self.run_as.give(path));
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
        let port = port.expect("there is a free port").port();
        let durability = if wanted.is_durable { DURABLE } else { FAST };
        let mut encryption = Vec::new();
        if wanted.is_encrypted {
            let files = Certificates::of(&folder);
            files.make(self.run_as);
            encryption.push("ssl=on".to_owned());
            encryption.push(format!("ssl_cert_file={}", files.own().display()));
            encryption.push(format!("ssl_key_file={}", files.key().display()));
        }
        let keeper = self
            .command(Path::new("/bin/sh"))
            .args(["-c", KEEPER, "sh"])
            .arg(&folder)
            .arg(self.programs.join("postgres"))
            .arg("-D")
            .arg(folder.join("data"))
            .arg("-k")
            .arg(&folder)
            .args(["-p", &port.to_string()])
            .args(OPTIONS.iter().chain(&durability).flat_map(|option| ["-c", option]))
            .args(encryption.iter().flat_map(|option| ["-c", option]))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // What ends the test's own group, such as Ctrl-C, would end the keeper before it has cleaned up.
            .process_group(0)
            .spawn()
            .expect("a shell can be started");
        let mut server = PostgresServer { keeper, folder, port, starts: 0 };
        server.start_once().then_some(server)
    }
}
