//! One self-contained HTML file: style, script and data inside, no request to anywhere.
//!
//! Invariant: nothing of the data is ever parsed as HTML. Data travels deflated and base64-coded in inert
//! `<script type="text/plain">` elements, the title is escaped, and a content security policy admits only
//! the page's own style and script, by a nonce. Start at [`Page`].

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

/// A page to be written.
///
/// ```
/// use naja_report::Page;
/// let html = Page {
///     title: "<app>",
///     styles: &["body { margin: 0 }"],
///     body: "<main id=\"app\"></main>",
///     scripts: &["document.getElementById('app').textContent = 'ready';"],
///     data: &[("numbers", &[1, 2, 3])],
/// }
/// .render();
/// assert!(html.contains("<title>&lt;app&gt;</title>"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// Title of the browser's tab, as plain text.
    pub title: &'a str,
    /// Style sheets, joined in this order.
    pub styles: &'a [&'a str],
    /// Trusted HTML of the body: written by us, never made of data.
    pub body: &'a str,
    /// Scripts, joined in this order into one strict-mode function scope.
    pub scripts: &'a [&'a str],
    /// Data by the id of the element that carries it. A script reads the element's text, decodes base64 and
    /// feeds it to `DecompressionStream("deflate")`.
    pub data: &'a [(&'a str, &'a [u8])],
}

/// A naja's head in one path: the page's icon, kept inside the page like everything else.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E\
%3Crect width='16' height='16' rx='3' fill='%230b6e5f'/%3E\
%3Cpath d='M8 2c3 0 5 2 5 5 0 2-2 3-3 4v3H6v-3C5 10 3 9 3 7c0-3 2-5 5-5z' fill='%23fff'/%3E\
%3Ccircle cx='6.3' cy='6.5' r='1' fill='%230b6e5f'/%3E%3Ccircle cx='9.7' cy='6.5' r='1' fill='%230b6e5f'/%3E%3C/svg%3E";

impl Page<'_> {
    /// The whole file as text.
    ///
    /// Cost: one deflate pass over the data, then a third more than its result for base64.
    pub fn render(&self) -> String {
        let nonce = nonce();
        let policy = format!(
            "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; \
             base-uri 'none'; form-action 'none'"
        );
        let mut html = String::new();
        html.push_str("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
        html.push_str(&format!(
            "<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{}</title>\n<link rel=\"icon\" href=\"{ICON}\">\n",
            escape(self.title)
        ));
        html.push_str(&format!("<style nonce=\"{nonce}\">\n"));
        for style in self.styles {
            push_raw(&mut html, style, "</style");
        }
        html.push_str("</style>\n</head>\n<body>\n");
        html.push_str(self.body);
        for (id, bytes) in self.data {
            html.push_str(&format!("\n<script type=\"text/plain\" id=\"{id}\">"));
            push_base64(&mut html, &deflate(bytes));
            html.push_str("</script>");
        }
        html.push_str(&format!("\n<script nonce=\"{nonce}\">\n(() => {{\n\"use strict\";\n"));
        for script in self.scripts {
            push_raw(&mut html, script, "</script");
        }
        html.push_str("})();\n</script>\n</body>\n</html>\n");
        html
    }
}

/// Text made safe for HTML, in an element as well as in a quoted attribute.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Adds our own style or script, which must not hold the tag that would end it early.
fn push_raw(html: &mut String, text: &str, forbidden: &str) {
    assert!(
        !text.contains(forbidden) && !text.contains("<!--"),
        "a page's own style or script must not hold `{forbidden}` or `<!--`"
    );
    html.push_str(text);
    if !text.ends_with('\n') {
        html.push('\n');
    }
}

/// 128 random bits in hexadecimal; the standard library seeds its hashers from the system.
fn nonce() -> String {
    let word = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", word(), word())
}

/// The zlib form, which browsers call "deflate".
fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("writing to memory does not fail")
}

/// Adds `bytes` in base64 with padding.
fn push_base64(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    text.reserve(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group =
            (0..3).fold(0_u32, |group, index| group << 8 | u32::from(chunk.get(index).copied().unwrap_or(0)));
        for digit in 0..4 {
            if digit <= chunk.len() {
                let value = group >> (18 - 6 * digit) & 63;
                text.push(char::from(DIGITS[value as usize]));
            } else {
                text.push('=');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base64(bytes: &[u8]) -> String {
        let mut text = String::new();
        push_base64(&mut text, bytes);
        text
    }

    #[test]
    fn base64_is_as_in_rfc_4648() {
        let pairs = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, coded) in pairs {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn a_hostile_title_stays_text() {
        let html = Page {
            title: "</title><script>alert(1)</script>",
            styles: &[],
            body: "",
            scripts: &[],
            data: &[],
        }
        .render();
        assert!(!html.contains("<script>alert"));
    }

    #[test]
    fn every_page_has_its_own_nonce() {
        assert_ne!(nonce(), nonce());
        assert_eq!(nonce().len(), 32);
    }
}
