//! Settings: the tables below `[tool.naja]` of the project's `pyproject.toml`.
//!
//! A file that does not mention naja is read but not parsed, so that a mistake in it is no concern of ours.
//! Start at [`Settings::find`].

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::{Failure, Result, find_upward};

/// The `[tool.naja]` table and the file that it is from.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    file: PathBuf,
    table: toml::Table,
}

impl Settings {
    /// The settings that hold for `folder`: those of the nearest `pyproject.toml` (see [`find_upward`]), or none.
    ///
    /// Errors: `bad-settings` when the file mentions naja but is not TOML, or `tool.naja` is not a table.
    pub fn find(folder: &Path) -> Result<Settings> {
        let Some(file) = find_upward(folder, "pyproject.toml") else {
            return Ok(Settings::default());
        };
        let Ok(text) = std::fs::read_to_string(&file) else {
            return Ok(Settings::default());
        };
        if !text.contains("naja") {
            return Ok(Settings::default());
        }
        Settings::parse(file, &text)
    }

    fn parse(file: PathBuf, text: &str) -> Result<Settings> {
        let mut document: toml::Table = toml::from_str(text).map_err(|error| bad_settings(&file, &error))?;
        let naja =
            document.get_mut("tool").and_then(toml::Value::as_table_mut).and_then(|tool| tool.remove("naja"));
        match naja {
            None => Ok(Settings::default()),
            Some(toml::Value::Table(table)) => Ok(Settings { file, table }),
            Some(_) => Err(Failure::new(
                "bad-settings",
                format!("`tool.naja` in `{}` is not a table", file.display()),
            )),
        }
    }

    /// The settings of one command, `[tool.naja.COMMAND]`; the type's default where there is no such table.
    ///
    /// Errors: `bad-settings`, with the key, when a value or a key is not one that the type knows.
    pub fn section<T: DeserializeOwned + Default>(&self, command: &str) -> Result<T> {
        match self.table.get(command) {
            None => Ok(T::default()),
            Some(value) => value.clone().try_into().map_err(|error| {
                bad_settings(&self.file, &error).hint(format!(
                    "the settings of `naja {command}` stand in the table `[tool.naja.{command}]`"
                ))
            }),
        }
    }

    /// A path from the settings, which counts from the folder of the file.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        match self.file.parent() {
            Some(folder) => folder.join(path),
            None => path.to_path_buf(),
        }
    }
}

fn bad_settings(file: &Path, error: &toml::de::Error) -> Failure {
    Failure::new(
        "bad-settings",
        format!("cannot use the settings in `{}`: {}", file.display(), error.message()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Run {
        rate: Option<u32>,
    }

    fn check(text: &str, expected: std::result::Result<Option<u32>, &str>) {
        let section = Settings::parse(PathBuf::from("/srv/pyproject.toml"), text)
            .and_then(|settings| settings.section::<Run>("run"));
        match (section, expected) {
            (Ok(run), Ok(rate)) => assert_eq!(run.rate, rate),
            (Err(failure), Err(text)) => {
                let shown = failure.to_string();
                assert!(shown.contains(text), "{shown}");
            }
            (section, expected) => panic!("{section:?} is not {expected:?}"),
        }
    }

    #[test]
    fn the_table_of_a_command_is_read() {
        check("[tool.naja.run]\nrate = 500\n", Ok(Some(500)));
        check("[tool]\nnaja.run.rate = 500\n", Ok(Some(500)));
    }

    #[test]
    fn a_file_without_the_table_gives_the_defaults() {
        check("[project]\nname = 'naja-user'\n", Ok(None));
        check("[tool.naja.view]\nport = 1\n", Ok(None));
    }

    #[test]
    fn an_unknown_key_or_a_wrong_type_is_named() {
        check("[tool.naja.run]\nrat = 500\n", Err("unknown field `rat`"));
        check("[tool.naja.run]\nrate = 'fast'\n", Err("invalid type: string"));
        check("[tool]\nnaja = 3\n", Err("`tool.naja` in `/srv/pyproject.toml` is not a table"));
        check("[tool.naja.run\n", Err("cannot use the settings in `/srv/pyproject.toml`"));
    }

    #[test]
    fn a_path_counts_from_the_folder_of_the_file() {
        let settings = Settings::parse(PathBuf::from("/srv/pyproject.toml"), "[tool.naja]").expect("valid");
        assert_eq!(settings.resolve(Path::new("out")), Path::new("/srv/out"));
        assert_eq!(settings.resolve(Path::new("/out")), Path::new("/out"));
    }
}
