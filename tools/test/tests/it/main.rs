//! What this crate carries, seen from outside. Runs of `naja test` are tested in `cli/tests/it`.

use std::path::Path;

use naja_test::bundle::FILES;

#[test]
fn every_file_of_the_package_is_carried() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../python/naja/testing");
    let mut there: Vec<String> = std::fs::read_dir(folder)
        .expect("the package is in the repository")
        .map(|entry| entry.expect("it can be read").file_name().into_string().expect("names are text"))
        .filter(|name| name.ends_with(".py"))
        .collect();
    there.sort();
    let carried: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
    assert_eq!(carried, there);
}
