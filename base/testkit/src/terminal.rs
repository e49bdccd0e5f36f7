//! A real terminal for tests: a pseudo-terminal whose other end a program takes for its own.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::num::NonZero;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

/// How long a test waits for what must come, before it fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the Ctrl-C key sends.
pub const CTRL_C: &str = "\x03";
/// What the Ctrl-D key sends.
pub const CTRL_D: &str = "\x04";
/// What the Ctrl-Z key sends.
pub const CTRL_Z: &str = "\x1a";
/// What the Ctrl-\ key sends.
pub const CTRL_BACKSLASH: &str = "\x1c";

/// A program that runs in a terminal of its own, as the leader of its session.
pub struct Terminal {
    /// Gone when the terminal was hung up.
    keyboard: Option<File>,
    screen: Arc<(Mutex<Screen>, Condvar)>,
    child: Child,
    /// How much of the screen [`Terminal::wait_for`] has passed.
    seen_bytes: usize,
}

struct Screen {
    bytes: Vec<u8>,
    picture: vt100::Parser,
    is_closed: bool,
    hangs_up: bool,
}

impl Default for Screen {
    fn default() -> Self {
        let picture = vt100::Parser::new(cells(ROWS), cells(COLUMNS), 0);
        Screen { bytes: Vec::new(), picture, is_closed: false, hangs_up: false }
    }
}

/// The size that a terminal begins with.
const ROWS: u16 = 24;
const COLUMNS: u16 = 80;

/// What a person sees on a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Its rows from above, without blanks at their ends.
    pub rows: Vec<String>,
    /// A program has taken the whole screen and will give back what stood there.
    pub alternate: bool,
    /// The cursor shows.
    pub cursor: bool,
}

impl Picture {
    /// The first row that has this text in it, counted from 0.
    pub fn row_with(&self, text: &str) -> Option<usize> {
        self.rows.iter().position(|row| row.contains(text))
    }

    /// Whether a row has this text in it.
    pub fn shows(&self, text: &str) -> bool {
        self.row_with(text).is_some()
    }
}

impl Terminal {
    /// Starts the command with all three standard streams on a new terminal of 24 rows and 80 columns.
    ///
    /// # Panics
    /// When the machine has no terminal left, or the command does not start.
    pub fn start(command: &Command) -> Self {
        let main = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .expect("a pseudo-terminal can be opened");
        rustix::pty::unlockpt(&main).expect("a new terminal can be unlocked");
        let name = rustix::pty::ptsname(&main, Vec::new()).expect("a terminal has a name");
        let other = OpenOptions::new()
            .read(true)
            .write(true)
            .open(std::ffi::OsStr::from_bytes(name.as_bytes()))
            .expect("the other end can be opened");
        set_size(main.as_fd(), ROWS, COLUMNS);

        let stream = || Stdio::from(other.try_clone().expect("a descriptor can be copied"));
        // `setsid` makes the terminal its session's own, then becomes the command.
        let child = Command::new("setsid")
            .arg("--ctty")
            .arg(command.get_program())
            .args(command.get_args())
            .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .current_dir(command.get_current_dir().unwrap_or(std::path::Path::new(".")))
            .stdin(stream())
            .stdout(stream())
            .stderr(stream())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start in a terminal: {error}"));
        drop(other);
        let screen = Arc::default();
        read_into(main.try_clone().expect("a descriptor can be copied"), Arc::clone(&screen));
        Terminal { keyboard: Some(File::from(main)), screen, child, seen_bytes: 0 }
    }

    /// The process that was started: the leader of the terminal's session.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Presses keys.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn press(&mut self, keys: &str) {
        let keyboard = self.keyboard.as_mut().expect("the terminal was not hung up");
        keyboard.write_all(keys.as_bytes()).expect("the terminal takes input");
    }

    /// Waits until this text appears after what was waited for before; gives what came before it.
    ///
    /// # Panics
    /// When it does not appear.
    pub fn wait_for(&mut self, text: &str) -> String {
        let (screen, changed) = &*self.screen;
        let deadline = Instant::now() + PATIENCE;
        let mut screen = screen.lock().expect("the reader does not panic");
        loop {
            let new = &screen.bytes[self.seen_bytes..];
            if let Some(at) = new.windows(text.len()).position(|part| part == text.as_bytes()) {
                let before = String::from_utf8_lossy(&new[..at]).into_owned();
                self.seen_bytes += at + text.len();
                return before;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let shown = String::from_utf8_lossy(&screen.bytes).into_owned();
            assert!(!screen.is_closed && !left.is_zero(), "{text:?} does not appear on the screen:\n{shown}");
            screen = changed.wait_timeout(screen, left).expect("the reader does not panic").0;
        }
    }

    /// What stands on the screen now.
    ///
    /// # Panics
    /// Never, unless the reader has.
    pub fn picture(&self) -> Picture {
        picture(&self.screen.0.lock().expect("the reader does not panic"))
    }

    /// Waits until the screen is as `done` wants it, and gives it.
    ///
    /// # Panics
    /// When it does not become so; `what` says what was waited for.
    pub fn wait_until(&self, what: &str, done: impl Fn(&Picture) -> bool) -> Picture {
        let (screen, changed) = &*self.screen;
        let deadline = Instant::now() + PATIENCE;
        let mut screen = screen.lock().expect("the reader does not panic");
        loop {
            let now = picture(&screen);
            if done(&now) {
                return now;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let rows = now.rows.join("\n");
            assert!(!screen.is_closed && !left.is_zero(), "{what} does not appear on the screen:\n{rows}");
            screen = changed.wait_timeout(screen, left).expect("the reader does not panic").0;
        }
    }

    /// Whether what is typed is shown, comes line by line, and Ctrl-C sends a signal: as a shell leaves a terminal.
    ///
    /// # Panics
    /// When the terminal was hung up.
    pub fn is_as_shells_leave_it(&self) -> bool {
        use rustix::termios::{LocalModes, OutputModes};
        let terminal = self.keyboard.as_ref().expect("the terminal was not hung up");
        let modes = rustix::termios::tcgetattr(terminal).expect("a terminal has modes");
        modes.local_modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG)
            && modes.output_modes.contains(OutputModes::OPOST)
    }

    /// Changes the size of the terminal, as dragging its window would.
    ///
    /// # Panics
    /// When the terminal was hung up.
    pub fn resize(&self, rows: u16, columns: u16) {
        let mut screen = self.screen.0.lock().expect("the reader does not panic");
        screen.picture.screen_mut().set_size(cells(rows), cells(columns));
        drop(screen);
        set_size(self.keyboard.as_ref().expect("the terminal was not hung up"), rows, columns);
    }

    /// Closes the terminal, as closing its window would.
    ///
    /// # Panics
    /// When it was closed before.
    pub fn hang_up(&mut self) {
        self.keyboard.take().expect("the terminal was not hung up");
        let (screen, changed) = &*self.screen;
        let mut screen = screen.lock().expect("the reader does not panic");
        screen.hangs_up = true;
        while !screen.is_closed {
            screen = changed.wait(screen).expect("the reader does not panic");
        }
    }

    /// Waits until the program has ended; gives how it ended and all that was on the screen.
    ///
    /// # Panics
    /// When it does not end.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                break status;
            }
            assert!(Instant::now() < deadline, "the program does not end; the screen:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(2));
        };
        // What it wrote last is in the terminal by now, but perhaps not yet with the reader.
        let (screen, changed) = &*self.screen;
        let mut closed = screen.lock().expect("the reader does not panic");
        while !closed.is_closed && Instant::now() < deadline {
            closed =
                changed.wait_timeout(closed, Duration::from_secs(1)).expect("the reader does not panic").0;
        }
        let text = String::from_utf8_lossy(&closed.bytes).into_owned();
        drop(closed);
        (status, text)
    }

    /// All that was on the screen up to now.
    ///
    /// # Panics
    /// Never, unless the reader has.
    pub fn text(&self) -> String {
        let screen = self.screen.0.lock().expect("the reader does not panic");
        String::from_utf8_lossy(&screen.bytes).into_owned()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).expect("a terminal has rows and columns")
}

fn picture(screen: &Screen) -> Picture {
    let screen = screen.picture.screen();
    let (_, columns) = screen.size();
    Picture {
        rows: screen.rows(0, columns.get()).map(|row| row.trim_end().to_owned()).collect(),
        alternate: screen.alternate_screen(),
        cursor: !screen.hide_cursor(),
    }
}

fn set_size(terminal: impl AsFd, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(terminal, size).expect("a terminal has a size");
}

fn read_into(terminal: OwnedFd, screen: Arc<(Mutex<Screen>, Condvar)>) {
    std::thread::spawn(move || {
        let mut terminal = File::from(terminal);
        let mut buffer = [0; 4096];
        let a_moment = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
        loop {
            let is_readable = poll(&mut [PollFd::new(&terminal, PollFlags::IN)], Some(&a_moment)) == Ok(1);
            // The end is an error (EIO) here: the last program has closed the terminal.
            let count = if is_readable { terminal.read(&mut buffer).unwrap_or(0) } else { 0 };
            let Ok(mut state) = screen.0.lock() else { return };
            state.bytes.extend_from_slice(&buffer[..count]);
            state.picture.process(&buffer[..count]);
            if state.hangs_up || (is_readable && count == 0) {
                drop(terminal);
                state.is_closed = true;
                return screen.1.notify_all();
            }
            screen.1.notify_all();
        }
    });
}
