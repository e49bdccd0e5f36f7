//! `naja dates zones`: writes the names of the time zones that this machine has.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use naja_system::Failure;

use crate::zone::MAGIC;

/// Where systems keep their zones; the list of Python's `zoneinfo`.
const FOLDERS: [&str; 4] =
    ["/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo"];

/// Write the names of all time zones of this machine
#[derive(Debug, clap::Args)]
pub struct ZonesArguments {
    /// Look into this folder instead of the system's
    #[arg(long, value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
}

/// Writes one name a line, in order.
///
/// Errors: `no-zones`, `cannot-write`
pub fn zones(arguments: &ZonesArguments, out: &mut dyn Write) -> Result<(), Failure> {
    let mut names = BTreeSet::new();
    match &arguments.folder {
        Some(folder) => collect(folder, folder, &mut names),
        None => FOLDERS.iter().map(Path::new).for_each(|folder| collect(folder, folder, &mut names)),
    }
    if names.is_empty() {
        return Err(Failure::new("no-zones", "there is no time-zone database")
            .hint("install the system's tzdata package, or name a folder with --folder"));
    }
    let mut out = BufWriter::new(out);
    let written = names.iter().try_for_each(|name| writeln!(out, "{name}")).and_then(|()| out.flush());
    written.map_err(|error| Failure::new("cannot-write", "cannot write the names").caused_by(&error))
}

/// Adds the zones of a folder below `root`. What cannot be read is no zone.
fn collect(root: &Path, folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            // Copies of all the others, with and without leap seconds.
            let copies = folder == root && (name == "right" || name == "posix");
            if !copies {
                collect(root, &path, names);
            }
        } else if name != "localtime" && name != "posixrules" && is_zone(&path) {
            names.extend(path.strip_prefix(root).ok().and_then(Path::to_str).map(String::from));
        }
    }
}

fn is_zone(path: &Path) -> bool {
    let mut start = [0; 4];
    File::open(path).is_ok_and(|mut file| file.read_exact(&mut start).is_ok()) && start == *MAGIC
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_the_files_that_begin_as_zones_do() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, contents) in
            [("UTC", "TZif2"), ("Europe/Paris", "TZif2"), ("zone.tab", "# text"), ("posix/UTC", "TZif2")]
        {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("a folder");
            fs::write(path, contents).expect("a file");
        }
        let mut out = Vec::new();
        zones(&ZonesArguments { folder: Some(folder.path().to_owned()) }, &mut out).expect("zones");
        assert_eq!(String::from_utf8(out).as_deref(), Ok("Europe/Paris\nUTC\n"));
    }

    #[test]
    fn a_machine_without_zones_is_told_what_to_install() {
        let arguments = ZonesArguments { folder: Some("/nowhere/at/all".into()) };
        assert_eq!(zones(&arguments, &mut Vec::new()).expect_err("none").name(), "no-zones");
    }
}
