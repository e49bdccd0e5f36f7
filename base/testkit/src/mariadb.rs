//! A MariaDB server for one test: started on a copy of empty data, gone at the end however the test ends.
//!
//! A shell holds the server and waits on a pipe. When the pipe closes, because the test is done, has panicked or was
//! killed, the shell ends the server and removes its folder. Start at [`MariaDbServer::start`].

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::net::UnixStream;
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

/// What every user's password is, of those that have one.
pub const PASSWORD: &str = "s3cret";

/// Who may log in how, beside `root` without a password: on the socket as anybody of this machine, on the network from
/// 127.0.0.1. Names of hosts are not looked up, so that `localhost` is the socket alone.
/// One statement a line, as the server reads it.
const WHO_MAY: &str = "\
CREATE USER native_user IDENTIFIED VIA mysql_native_password USING PASSWORD('s3cret');
CREATE USER ed25519_user IDENTIFIED VIA ed25519 USING PASSWORD('s3cret');
CREATE USER either_user IDENTIFIED VIA ed25519 USING PASSWORD('other') OR mysql_native_password USING PASSWORD('s3cret');
CREATE USER tls_user IDENTIFIED VIA mysql_native_password USING PASSWORD('s3cret') REQUIRE SSL;
CREATE USER no_password_user IDENTIFIED VIA mysql_native_password USING '';
CREATE USER socket_user IDENTIFIED VIA unix_socket AS 'nobody';
CREATE USER locked_user IDENTIFIED VIA mysql_native_password USING PASSWORD('s3cret') ACCOUNT LOCK;
CREATE DATABASE test CHARACTER SET utf8mb4;
SHUTDOWN;
";

/// What a server is told, whatever it is for.
const OPTIONS: [&str; 17] = [
    "--no-defaults",
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--character-set-server=utf8mb4",
    "--default-time-zone=+00:00",
    "--plugin-load-add=auth_ed25519",
    "--local-infile=1",
    "--max-connections=100",
    "--innodb-buffer-pool-size=32M",
    "--innodb-log-file-size=4M",
    "--innodb-data-file-path=ibdata1:5M:autoextend",
    "--innodb-autoextend-increment=1",
    "--innodb-temp-data-file-path=ibtmp1:3M:autoextend",
    "--innodb-use-native-aio=0",
    "--key-buffer-size=1M",
    "--max-allowed-packet=64M",
    "--secure-file-priv=",
];

/// Nothing is waited for on its way to the disk: what a test of the protocol wants.
const FAST: [&str; 4] =
    ["--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--sync-frm=0", "--debug-no-sync=1"];

/// What was committed is there after the server was killed.
const DURABLE: [&str; 2] = ["--innodb-flush-log-at-trx-commit=1", "--innodb-doublewrite=1"];

/// Starts the server once for each line of standard input; ends it and cleans up when that ends. Arguments: the folder,
/// then the server and what it is told.
const KEEPER: &str = r#"
folder=$1
shift
server=
times=0
while read -r line; do
    if [ -n "$server" ]; then
        kill -KILL $server 2>/dev/null
        wait $server
    fi
    times=$((times + 1))
    "$@" >"$folder/log.$times" 2>&1 </dev/null &
    server=$!
    echo $server >"$folder/process"
done
kill -KILL $server 2>/dev/null
wait $server
rm -rf "$folder"
"#;

/// A running server, of which `root` is the administrator (without a password) and `test` an empty database.
pub struct MariaDbServer {
    keeper: Child,
    folder: PathBuf,
    port: u16,
    /// How many times it was started.
    starts: u32,
}

/// Where MariaDB's programs are, and as whom they run.
struct Installation {
    server: PathBuf,
    version: String,
    run_as: RunAs,
}

impl MariaDbServer {
    /// Starts a server of its own for one test; none, and [`not_tested`], where MariaDB is not installed.
    ///
    /// `cache` is a folder that outlives the test, where the empty data are kept:
    /// `Path::new(env!("CARGO_TARGET_TMPDIR"))` in an integration test. Cost: some 0.5 s, 6 seconds more at the first time.
    ///
    /// # Panics
    /// When it is installed and does not start: the test cannot go on.
    pub fn start(cache: &Path) -> Option<MariaDbServer> {
        MariaDbServer::start_with(cache, ServerOptions::default())
    }

    /// As [`MariaDbServer::start`], and what was committed outlives [`MariaDbServer::kill`].
    ///
    /// # Panics
    /// As [`MariaDbServer::start`].
    pub fn start_durable(cache: &Path) -> Option<MariaDbServer> {
        MariaDbServer::start_with(cache, ServerOptions { is_durable: true, ..ServerOptions::default() })
    }

    /// As [`MariaDbServer::start`], one that is as it is `wanted`.
    ///
    /// # Panics
    /// As [`MariaDbServer::start`].
    pub fn start_with(cache: &Path, wanted: ServerOptions) -> Option<MariaDbServer> {
        let Some(installation) = Installation::find() else {
            not_tested("MariaDB: no server is installed");
            return None;
        };
        let template = installation.template(cache);
        // Another test may take the port that was free a moment ago.
        let started = (0..5).find_map(|_| installation.start(&template, wanted));
        Some(started.expect("MariaDB starts on some port"))
    }

    /// The one server that all tests of this process share; as [`MariaDbServer::start`].
    ///
    /// # Panics
    /// As [`MariaDbServer::start`].
    pub fn shared(cache: &Path) -> Option<&'static MariaDbServer> {
        static SHARED: OnceLock<Option<MariaDbServer>> = OnceLock::new();
        SHARED.get_or_init(|| MariaDbServer::start(cache)).as_ref()
    }

    /// The path of its Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    /// Its port on 127.0.0.1.
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

    /// Ends it without asking.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&self) {
        let process = fs::read_to_string(self.folder.join("process")).expect("the server was started");
        let process = process.trim();
        let killed = Command::new("sh").args(["-c", "kill -KILL \"$1\"", "sh", process]).status();
        assert!(killed.is_ok_and(|status| status.success()), "process {process} can be ended");
        // What still listens would take a connection that nobody answers; and it does until the last thread is over, though the
        // first may be a zombie already.
        let folder = PathBuf::from(format!("/proc/{process}"));
        let lives = || {
            let threads = fs::read_dir(folder.join("task")).map_or(0, Iterator::count);
            let stat = fs::read_to_string(folder.join("stat"));
            threads > 1 || stat.is_ok_and(|stat| !stat.contains(") Z "))
        };
        while lives() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Starts it again on its data, after it was ended; it is ended first if it runs.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        assert!(self.start_once(), "MariaDB starts again: {}", self.log());
    }

    /// Lets the keeper start it, and waits until it is ready; false when its port is taken.
    fn start_once(&mut self) -> bool {
        self.starts += 1;
        let _ = fs::remove_file(self.socket());
        let keeper = self.keeper.stdin.as_mut().expect("the keeper listens until the end");
        keeper.write_all(b"start\n").expect("the keeper listens");
        let until = Instant::now() + READY_WITHIN;
        loop {
            let log = self.log();
            if log.contains("ready for connections") && UnixStream::connect(self.socket()).is_ok() {
                return true;
            }
            if log.contains("Bind on TCP/IP port") {
                return false;
            }
            assert!(
                !log.contains("[ERROR] Aborting") && Instant::now() < until,
                "MariaDB does not start: {log}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for MariaDbServer {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

impl Installation {
    fn find() -> Option<Installation> {
        // Debian keeps the server where only root looks.
        let on_path = std::env::var_os("PATH").unwrap_or_default();
        let server = std::env::split_paths(&on_path)
            .chain(["/usr/sbin".into(), "/usr/libexec".into()])
            .map(|folder| folder.join("mariadbd"))
            .find(|program| program.is_file())?;
        let version = Command::new(&server).arg("--version").output().ok()?;
        let version = String::from_utf8_lossy(&version.stdout);
        // mariadbd  Ver 10.11.14-MariaDB-0+deb12u2 for debian-linux-gnu on x86_64 (Debian 12)
        let version =
            version.split_whitespace().find(|word| word.starts_with(|letter: char| letter.is_ascii_digit()));
        let version = version.unwrap_or("unknown").to_owned();
        // The user that Debian makes for MariaDB, or nobody.
        let run_as = RunAs::find(&["mysql", "nobody"])?;
        Some(Installation { server, version, run_as })
    }

    /// Empty data with the users of [`WHO_MAY`], made once and kept.
    fn template(&self, cache: &Path) -> PathBuf {
        fs::create_dir_all(cache).expect("the folder for what tests keep can be made");
        let template = cache.join(format!("mariadb-{}-2", self.version));
        let lock =
            File::create(cache.join("mariadb.lock")).expect("the folder for what tests keep is writable");
        lock.lock().expect("the file can be locked");
        if !template.exists() {
            let made = self.run_as.folder("naja-maria-");
            let data = made.join("data");
            let output = self
                .run_as
                .command(Path::new("mariadb-install-db"))
                .arg("--no-defaults")
                .arg(format!("--datadir={}", data.display()))
                .args(["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"])
                .args(OPTIONS.iter().filter(|option| option.starts_with("--innodb")))
                .output()
                .expect("mariadb-install-db can be run");
            assert!(
                output.status.success(),
                "mariadb-install-db: {} {}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
            let users = made.join("users.sql");
            fs::write(&users, WHO_MAY).expect("the folder is writable");
            self.run_as.give(&users);
            self.make_users(&made, &users);
            let unfinished = cache.join(format!("mariadb-{}", std::process::id()));
            copy_tree(&data, &unfinished, &|_| {});
            fs::rename(&unfinished, &template).expect("the copy can be renamed");
            let _ = fs::remove_dir_all(&made);
        }
        template
    }

    /// Runs a server until it has read `users`.
    fn make_users(&self, folder: &Path, users: &Path) {
        let log = folder.join("log");
        let mut server = self
            .run_as
            .command(&self.server)
            .args(OPTIONS)
            .args(FAST)
            .arg(format!("--datadir={}", folder.join("data").display()))
            .arg(format!("--socket={}", folder.join("socket").display()))
            .arg(format!("--init-file={}", users.display()))
            .arg("--skip-networking")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("the folder is writable"))
            .spawn()
            .expect("the server can be run");
        let until = Instant::now() + READY_WITHIN;
        let ended = loop {
            let ended = server.try_wait().expect("the server is our child");
            // What it cannot do it says, and then goes on without ending.
            let failed = fs::read_to_string(&log).is_ok_and(|log| log.contains("ERROR"));
            if ended.is_some() || failed || Instant::now() > until {
                break ended;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let _ = server.kill();
        let _ = server.wait();
        let log = fs::read_to_string(&log).unwrap_or_default();
        assert!(
            ended.is_some_and(|status| status.success()) && !log.contains("ERROR"),
            "the users can be made: {log}"
        );
    }

    /// Starts a server; none when its port was taken meanwhile.
    fn start(&self, template: &Path, wanted: ServerOptions) -> Option<MariaDbServer> {
        let folder = self.run_as.folder("naja-maria-");
        copy_tree(template, &folder.join("data"), &|path| self.run_as.give(path));
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
        let port = port.expect("there is a free port").port();
        let mut encryption = Vec::new();
        if wanted.is_encrypted {
            let files = Certificates::of(&folder);
            files.make(self.run_as);
            encryption.push(format!("--ssl-cert={}", files.own().display()));
            encryption.push(format!("--ssl-key={}", files.key().display()));
        }
        let keeper = self
            .run_as
            .command(Path::new("/bin/sh"))
            .args(["-c", KEEPER, "sh"])
            .arg(&folder)
            .arg(&self.server)
            .args(OPTIONS)
            .args(if wanted.is_durable { &DURABLE[..] } else { &FAST })
            .args(encryption)
            .arg(format!("--datadir={}", folder.join("data").display()))
            .arg(format!("--tmpdir={}", folder.display()))
            .arg(format!("--pid-file={}", folder.join("pid").display()))
            .arg(format!("--socket={}", folder.join("socket").display()))
            .arg(format!("--port={port}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // What ends the test's own group, such as Ctrl-C, would end the keeper before it has cleaned up.
            .process_group(0)
            .spawn()
            .expect("a shell can be started");
        let mut server = MariaDbServer { keeper, folder, port, starts: 0 };
        server.start_once().then_some(server)
    }
}
