//! A headless Chromium for tests of pages, driven through chromedriver's WebDriver protocol.
//!
//! Both programs are found on `PATH`; where one is missing, [`Browser::start`] prints a note and gives `None`,
//! and the test passes without having looked. Everything ends with the value: session, driver, profile folder.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::not_tested;

/// Longer than any step of a test takes on a busy machine; a step that hangs fails instead of blocking.
const STEP_TIMEOUT: Duration = Duration::from_secs(60);

/// Keys of the keyboard that have no character, for [`Browser::keys`].
pub mod key {
    #![allow(missing_docs, reason = "the names say all")]
    pub const BACKSPACE: &str = "\u{E003}";
    pub const TAB: &str = "\u{E004}";
    pub const ENTER: &str = "\u{E007}";
    pub const SHIFT: &str = "\u{E008}";
    pub const ESCAPE: &str = "\u{E00C}";
    pub const END: &str = "\u{E010}";
    pub const HOME: &str = "\u{E011}";
    pub const LEFT: &str = "\u{E012}";
    pub const UP: &str = "\u{E013}";
    pub const RIGHT: &str = "\u{E014}";
    pub const DOWN: &str = "\u{E015}";
}

/// A running browser with one window.
#[derive(Debug)]
pub struct Browser {
    driver: Child,
    address: String,
    session: String,
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser with an empty profile and a window of 1280 × 800 pixels.
    ///
    /// `None`, with a note on stderr, where Chromium or chromedriver is not installed.
    ///
    /// # Panics
    ///
    /// Where both are there and do not start: then the test cannot say anything.
    pub fn start() -> Option<Browser> {
        let chromium = ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(on_path);
        let (Some(chromium), Some(chromedriver)) = (chromium, on_path("chromedriver")) else {
            not_tested("pages in a real browser: chromium and chromedriver are not both on PATH");
            return None;
        };
        let profile = tempfile::tempdir().expect("the folder for temporary files is writable");
        let mut driver = Command::new(chromedriver)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .stdin(Stdio::null())
            .spawn()
            .expect("chromedriver is on PATH and can be run");
        let address = driver_address(&mut driver);
        let mut browser = Browser { driver, address, session: String::new(), _profile: profile };
        let capabilities = capabilities(&chromium, browser._profile.path());
        let session = browser.call("POST", "/session", Some(&capabilities));
        browser.session = session["sessionId"].as_str().expect("a session has an id").to_owned();
        Some(browser)
    }

    /// Opens a local file and waits until it is loaded.
    pub fn open(&self, file: &Path) {
        self.open_url(&format!("file://{}", file.display()));
    }

    /// Opens an address and waits until it is loaded.
    pub fn open_url(&self, url: &str) {
        self.command("POST", "/url", Some(&json!({ "url": url })));
    }

    /// Runs the body of a function in the page and gives what it returns; a promise is awaited.
    pub fn run(&self, script: &str) -> Value {
        self.command("POST", "/execute/sync", Some(&json!({ "script": script, "args": [] })))
    }

    /// Runs `script` again and again until it returns something true; gives that.
    ///
    /// # Panics
    ///
    /// When it has not become true within a minute.
    pub fn wait_for(&self, script: &str) -> Value {
        let start = Instant::now();
        loop {
            let value = self.run(script);
            if !matches!(value, Value::Null | Value::Bool(false)) {
                return value;
            }
            assert!(start.elapsed() < STEP_TIMEOUT, "did not become true in the page: {script}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Presses and releases keys one after the other, in whatever has the focus. See [`mod@key`].
    pub fn keys(&self, keys: &str) {
        let press = |kind: &str, key: char| json!({ "type": kind, "value": key.to_string() });
        let actions: Vec<Value> =
            keys.chars().flat_map(|key| [press("keyDown", key), press("keyUp", key)]).collect();
        self.key_actions(&actions);
    }

    /// Presses `keys` while `modifier` is held down.
    pub fn keys_with(&self, modifier: &str, keys: &str) {
        let mut actions = vec![json!({ "type": "keyDown", "value": modifier })];
        for key in keys.chars() {
            actions.push(json!({ "type": "keyDown", "value": key.to_string() }));
            actions.push(json!({ "type": "keyUp", "value": key.to_string() }));
        }
        actions.push(json!({ "type": "keyUp", "value": modifier }));
        self.key_actions(&actions);
    }

    fn key_actions(&self, actions: &[Value]) {
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.command("POST", "/actions", Some(&json!({ "actions": [keyboard] })));
    }

    /// Presses the mouse at the first point, moves it over the others, releases it at the last. One point is a
    /// click. Points are in pixels of the page's view.
    pub fn drag(&self, points: &[(i64, i64)]) {
        let to = |&(x, y): &(i64, i64)| json!({ "type": "pointerMove", "duration": 0, "x": x, "y": y });
        let mut actions = vec![to(&points[0]), json!({ "type": "pointerDown", "button": 0 })];
        actions.extend(points.iter().skip(1).map(to));
        actions.push(json!({ "type": "pointerUp", "button": 0 }));
        self.pointer_actions(&actions);
    }

    /// Moves the mouse to a point.
    pub fn hover(&self, x: i64, y: i64) {
        self.pointer_actions(&[json!({ "type": "pointerMove", "duration": 0, "x": x, "y": y })]);
    }

    fn pointer_actions(&self, actions: &[Value]) {
        let mouse = json!({ "type": "pointer", "id": "mouse", "actions": actions });
        self.command("POST", "/actions", Some(&json!({ "actions": [mouse] })));
    }

    /// Gives the page a view of exactly this size, which a window's smallest width does not limit.
    pub fn resize(&self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// Makes the page see a preference, as `("prefers-color-scheme", "dark")`.
    pub fn prefer(&self, feature: &str, value: &str) {
        let features = json!({ "features": [{ "name": feature, "value": value }] });
        self.devtools("Emulation.setEmulatedMedia", &features);
    }

    /// Sends a command of Chromium's own protocol.
    pub fn devtools(&self, command: &str, parameters: &Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.command("POST", "/goog/cdp/execute", Some(&body))
    }

    /// What the console has shown since the last call: errors of scripts, violations of the page's policy.
    pub fn console(&self) -> Vec<String> {
        let entries = self.command("POST", "/se/log", Some(&json!({ "type": "browser" })));
        let entries = entries.as_array().cloned().unwrap_or_default();
        entries.iter().map(|entry| format!("{}: {}", entry["level"], entry["message"])).collect()
    }

    /// The view as a PNG image.
    pub fn screenshot(&self) -> Vec<u8> {
        let image = self.command("GET", "/screenshot", None);
        base64(image.as_str().expect("a screenshot is text in base64"))
    }

    fn command(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        self.call(method, &format!("/session/{}{path}", self.session), body)
    }

    /// One HTTP request to the driver, on a connection of its own.
    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut request = String::new();
        write!(
            request,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .expect("writing to memory does not fail");
        let mut stream = TcpStream::connect(&self.address).expect("the driver listens until it is dropped");
        stream.set_read_timeout(Some(STEP_TIMEOUT)).expect("the timeout is not zero");
        stream.write_all(request.as_bytes()).expect("the driver reads requests");
        let answer = read_answer(&mut BufReader::new(stream));
        let answer: Value = serde_json::from_slice(&answer).expect("the driver answers in JSON");
        let value = answer["value"].clone();
        assert!(
            value.get("error").is_none_or(Value::is_null),
            "{method} {path} failed: {}\n{}",
            value["error"],
            value["message"].as_str().unwrap_or_default()
        );
        value
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ending the session ends Chromium; a driver that is killed first would leave it behind.
        if !self.session.is_empty() && !std::thread::panicking() {
            self.command("DELETE", "", None);
        } else if !self.session.is_empty() {
            let path = format!("DELETE /session/{} HTTP/1.1\r\nConnection: close\r\n\r\n", self.session);
            if let Ok(mut stream) = TcpStream::connect(&self.address) {
                let _ = stream.set_read_timeout(Some(STEP_TIMEOUT));
                let _ = stream.write_all(path.as_bytes());
                let _ = stream.read(&mut [0; 64]);
            }
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Reads the port that the driver chose from what it prints, and keeps reading so that it never blocks.
fn driver_address(driver: &mut Child) -> String {
    let stdout = driver.stdout.take().expect("stdout is a pipe");
    let mut lines = BufReader::new(stdout).lines().map_while(std::result::Result::ok);
    let port = lines
        .by_ref()
        .find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse::<u16>().ok()
        })
        .expect("chromedriver says on which port it listens");
    std::thread::spawn(move || lines.for_each(drop));
    format!("127.0.0.1:{port}")
}

fn capabilities(chromium: &Path, profile: &Path) -> Value {
    let arguments = [
        "--headless",
        // Without this Chromium refuses to run as root, which is what containers give; only our own pages
        // are opened.
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
        "--window-size=1280,800",
    ];
    let mut arguments: Vec<String> = arguments.map(str::to_owned).into();
    arguments.push(format!("--user-data-dir={}", profile.display()));
    json!({ "capabilities": { "alwaysMatch": {
        "browserName": "chrome",
        "goog:chromeOptions": { "binary": chromium, "args": arguments },
        "goog:loggingPrefs": { "browser": "ALL" },
    } } })
}

/// The body of an HTTP answer with a `Content-Length`.
fn read_answer(reader: &mut impl BufRead) -> Vec<u8> {
    let mut length = None;
    loop {
        let mut line = String::new();
        let read = reader.read_line(&mut line).expect("the driver answers");
        if read == 0 || line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse::<usize>().ok();
        }
    }
    let mut body = vec![0; length.expect("the driver gives the length of its answers")];
    reader.read_exact(&mut body).expect("the driver sends its whole answer");
    body
}

/// Decodes base64, ignoring padding and line ends.
fn base64(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut group, mut bits) = (0_u32, 0);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        group = group << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((group >> bits & 255) as u8);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded() {
        assert_eq!(base64("Zm9vYg=="), b"foob");
        assert_eq!(base64("Zm9vYmFy"), b"foobar");
    }

    #[test]
    fn a_page_can_be_opened_asked_and_photographed() {
        let Some(browser) = Browser::start() else { return };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("page.html");
        let page = "<title>hello</title><input autofocus><script>console.error('seen')</script>";
        std::fs::write(&file, page).unwrap();
        browser.open(&file);
        assert_eq!(browser.run("return document.title"), "hello");
        browser.run("document.querySelector('input').focus()");
        browser.keys("ab");
        assert_eq!(browser.wait_for("return document.querySelector('input').value === 'ab'"), true);
        assert!(browser.console().iter().any(|entry| entry.contains("seen")));
        assert!(browser.screenshot().starts_with(b"\x89PNG"));
    }
}
