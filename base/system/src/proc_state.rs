//! The few fields of `/proc/PID/stat` that starting and stopping programs needs.

/// Whether the process is stopped (by a signal or by a debugger). A process that is gone is not.
pub(crate) fn is_stopped(pid: u32) -> bool {
    matches!(stat_fields(&format!("/proc/{pid}/stat")), Some(fields) if fields.starts_with(['T', 't']))
}

/// The parent of a process; `None` when it is gone.
pub(crate) fn parent(pid: u32) -> Option<u32> {
    stat_fields(&format!("/proc/{pid}/stat"))?.split(' ').nth(1)?.parse().ok()
}

/// Where the kernel keeps this process's argument strings: first address and the one after the last.
pub(crate) fn own_argument_area() -> Option<(usize, usize)> {
    // Fields 48 and 49 of the file; the text begins with field 3.
    let fields = stat_fields("/proc/self/stat")?;
    let mut fields = fields.trim_end().split(' ').skip(48 - 3);
    let start = fields.next()?.parse().ok()?;
    let end = fields.next()?.parse().ok()?;
    (start != 0 && start < end).then_some((start, end))
}

/// The fields from the third (the state) on: the second is a name that may hold spaces and brackets.
fn stat_fields(path: &str) -> Option<String> {
    let text = std::fs::read(path).ok()?;
    let name_end = text.iter().rposition(|&byte| byte == b')')?;
    String::from_utf8(text.get(name_end + 2..)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_process_is_not_stopped_and_has_a_parent() {
        let own = std::process::id();
        assert!(!is_stopped(own));
        assert_eq!(parent(own), Some(std::os::unix::process::parent_id()));
    }

    #[test]
    fn a_process_that_does_not_exist_has_neither() {
        assert!(!is_stopped(u32::MAX));
        assert_eq!(parent(u32::MAX), None);
    }

    #[test]
    fn the_argument_area_holds_the_name_of_this_test() {
        let (start, end) = own_argument_area().expect("/proc is mounted");
        let length = std::fs::read("/proc/self/cmdline").expect("/proc is mounted").len();
        assert_eq!(end - start, length);
    }
}
