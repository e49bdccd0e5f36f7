//! One error type for what is shown to a person: a stable name, a sentence, causes, a hint.

use std::error::Error;
use std::fmt;

/// The result of an operation whose failure is shown to a person.
pub type Result<T> = std::result::Result<T, Failure>;

/// A failure as the user sees it, on the screen and in JSON.
///
/// Crates with errors of their own keep their enum and convert into this at the border.
///
/// ```
/// use naja_system::Failure;
/// let failure = Failure::new("no-such-file", "cannot run `app.py`: no such file")
///     .hint("the working directory is /srv");
/// assert_eq!(failure.name(), "no-such-file");
/// assert_eq!(
///     failure.to_string(),
///     "error[no-such-file]: cannot run `app.py`: no such file\n  hint: the working directory is /srv"
/// );
/// ```
#[derive(Debug, Clone)]
pub struct Failure {
    name: &'static str,
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
}

impl Failure {
    /// A failure with its stable name (kebab-case, part of the interface) and its sentence.
    pub fn new(name: &'static str, message: impl Into<String>) -> Self {
        Failure { name, message: message.into(), causes: Vec::new(), hint: None }
    }

    /// Adds what caused it: the error and, in order, its sources.
    #[must_use]
    pub fn caused_by(mut self, cause: &dyn Error) -> Self {
        self.causes.push(cause.to_string());
        let mut source = cause.source();
        while let Some(error) = source {
            self.causes.push(error.to_string());
            source = error.source();
        }
        self
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says first what could not be done because of it.
    #[must_use]
    pub fn context(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// All of it in one line, for where a failure is one remark among others.
    ///
    /// ```
    /// # use naja_system::Failure;
    /// let failure = Failure::new("disk-full", "no space left").context("cannot write").hint("free some");
    /// assert_eq!(failure.one_line(), "cannot write: no space left (free some)");
    /// ```
    pub fn one_line(&self) -> String {
        let mut text = self.message.clone();
        for cause in &self.causes {
            text.push_str(&format!(": {cause}"));
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!(" ({hint})"));
        }
        text
    }

    /// The stable name, as documented in `docs/reference/errors.md`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The sentence alone, without causes and hint.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The causes, outermost first.
    pub fn causes(&self) -> &[String] {
        &self.causes
    }

    /// What the user can do about it.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.name, self.message)?;
        for cause in &self.causes {
            write!(f, "\n  caused by: {cause}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl Error for Failure {}
