//! System packages: installed where that is allowed, named where it is not.

use std::path::Path;

use crate::checkout::Checkout;
use crate::step::{self, Outcome, say};

/// Says to Debian's scripts for PostgreSQL that no server is wanted, unless someone has said otherwise before.
const NO_CLUSTER: &str = "file=/etc/postgresql-common/createcluster.conf; \
    test -e $file || { mkdir -p ${file%/*} && echo 'create_main_cluster = false' >$file; }";

/// Keeps Debian's scripts from starting what a package brings, as long as nobody has said otherwise before; then takes it
/// back, and keeps MariaDB from being started with the machine. Arguments: the words that install.
const INSTALLED_NOT_STARTED: &str = "file=/usr/sbin/policy-rc.d; ours=; \
    test -e $file || { printf '#!/bin/sh\\nexit 101\\n' >$file; chmod 755 $file; ours=1; }; \
    \"$@\"; code=$?; \
    test -z \"$ours\" || rm -f $file; \
    test ! -e /etc/init.d/mariadb || update-rc.d mariadb disable >/dev/null 2>&1; \
    deb-systemd-helper disable mariadb.service >/dev/null 2>&1; \
    exit $code";

/// One line of `dev/packages.txt`.
#[derive(Debug, PartialEq, Eq)]
struct Need {
    command: String,
    package: String,
    what_for: String,
}

/// Installs what `dev/packages.txt` lists and this machine lacks. Gives what cannot be tested without it.
pub(crate) fn install_missing(checkout: &Checkout) -> Outcome<Vec<String>> {
    let needs = parse(&step::read(&checkout.at("dev/packages.txt"))?);
    let lacks = |need: &&Need| !step::on_path(&need.command);
    let packages: Vec<&str> = needs.iter().filter(lacks).map(|need| need.package.as_str()).collect();
    if packages.is_empty() {
        return Ok(Vec::new());
    }
    install(checkout, &packages)?;
    let still_missing = needs.iter().filter(lacks);
    Ok(still_missing.map(|need| format!("{}: `{}` is missing", need.what_for, need.command)).collect())
}

/// Installs packages with apt where that is allowed; where not, says what to install and goes on.
pub(crate) fn install(checkout: &Checkout, packages: &[&str]) -> Outcome<()> {
    let list = packages.join(" ");
    let Some(prefix) = way_to_install(checkout) else {
        say(&format!(
            "not allowed to install system packages here; install them yourself: apt-get install {list}"
        ));
        return Ok(());
    };
    say(&format!("installing system packages: {list} (a minute)"));
    let apt = |arguments: &[&str]| {
        let words: Vec<&str> = prefix.iter().chain(arguments).copied().collect();
        step::run_quietly(
            checkout.command(words[0]).args(&words[1..]).env("DEBIAN_FRONTEND", "noninteractive"),
        )
    };
    if packages.contains(&"postgresql") {
        // Debian's package else makes a cluster of its own and starts it; the tests have theirs.
        let words: Vec<&str> = prefix.iter().chain(&["sh", "-c", NO_CLUSTER]).copied().collect();
        let _ = step::run_quietly(checkout.command(words[0]).args(&words[1..]));
    }
    let installed = apt(&["apt-get", "update", "-qq"]).and_then(|_| {
        let arguments = ["apt-get", "install", "-y", "-qq", "--no-install-recommends"];
        let install = [&arguments[..], packages].concat();
        if packages.contains(&"mariadb-server") {
            // Debian's package else starts a server of its own, now and with the machine; the tests have theirs.
            return apt(&[&["sh", "-c", INSTALLED_NOT_STARTED, "sh"][..], &install].concat());
        }
        apt(&install)
    });
    if installed.is_err() {
        say(&format!("apt could not install {list}; going on without"));
    }
    Ok(())
}

/// The words before `apt-get`, or nothing where apt is missing or would ask for a password.
fn way_to_install(checkout: &Checkout) -> Option<&'static [&'static str]> {
    if !step::on_path("apt-get") {
        return None;
    }
    let id = step::run_quietly(checkout.command(Path::new("id")).arg("-u")).unwrap_or_default();
    if id.trim() == "0" {
        return Some(&[]);
    }
    let sudo = step::on_path("sudo") && step::succeeds(checkout.command("sudo").args(["-n", "true"]));
    sudo.then_some(&["sudo", "-n"])
}

fn parse(text: &str) -> Vec<Need> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let (command, rest) = line.split_once(char::is_whitespace)?;
            let (package, what_for) = rest.trim_start().split_once(char::is_whitespace)?;
            Some(Need {
                command: command.to_owned(),
                package: package.to_owned(),
                what_for: what_for.trim_start().to_owned(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Need, parse};

    #[test]
    fn a_line_is_a_command_a_package_and_the_rest() {
        let need =
            Need { command: "xterm".into(), package: "x-term".into(), what_for: "real windows".into() };
        assert_eq!(parse("# head\n\n  xterm   x-term  real windows\n"), [need]);
    }
}
