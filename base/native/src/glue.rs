//! Which native functions a merged stack leaves out: those by which the interpreter calls Python functions, as the
//! Python frames already say so, and those from the start of a process or thread to its first Python frame.

/// Functions of the interpreter between two Python frames, by how their names begin. They pass a call on and do no
/// work of their own.
const PREFIXES: [&str; 40] = [
    "_PyCFunction_FastCall",
    "_PyEval_EvalCode",
    "_PyEval_EvalFrame",
    "_PyEval_Vector",
    "_PyFunction_FastCall",
    "_PyFunction_Vectorcall",
    "_PyMethodDef_RawFastCall",
    "_PyMethodDescr_",
    "_PyObject_Call",
    "_PyObject_FastCall",
    "_PyObject_MakeTpCall",
    "_PyObject_Vectorcall",
    "_PyVectorcall_Call",
    "PyCFunction_Call",
    "PyEval_Call",
    "PyEval_EvalCode",
    "PyEval_EvalFrame",
    "PyFunction_Vectorcall",
    "PyIter_Send",
    "PyObject_Call",
    "PyObject_Vectorcall",
    "PyVectorcall_Call",
    "_TAIL_CALL_",
    "call_function",
    "call_method",
    "call_unbound",
    "cfunction_call",
    "cfunction_vectorcall_",
    "do_call_core",
    "function_code_fastcall",
    "gen_iternext",
    "gen_send_ex",
    "method_call",
    "method_vectorcall",
    "object_vacall",
    "slot_",
    "trace_call_function",
    "type_call",
    "vectorcall_",
    "wrap_call",
];

/// Functions below the first Python frame of a process or thread, likewise.
const BASE_PREFIXES: [&str; 21] = [
    "Py_BytesMain",
    "Py_Main",
    "Py_RunMain",
    "PyRun_",
    "_PyRun_",
    "__clone",
    "__libc_start",
    "__pthread_",
    "_start",
    "bootstrap",
    "builtin_exec_code",
    "clone",
    "main",
    "pymain_",
    "pyrun_",
    "pythread_wrapper",
    "run_eval_code_obj",
    "run_mod",
    "start_thread",
    "t_bootstrap",
    "thread_",
];

/// Whose code a function is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The file of the interpreter.
    Interpreter,
    /// The C library, glibc or musl, in which every process and thread starts.
    Libc,
    /// Anything else.
    Other,
}

impl Owner {
    /// The owner of a file that is not the interpreter's, by its path.
    pub(crate) fn of_file(path: &str) -> Owner {
        // `libc.so.6`; up to 2.33 `libc-2.33.so` and `libpthread-2.33.so`, which have links with the other names.
        const NAMES: [&str; 5] = ["ld-musl-", "libc.so.6", "libc-2.", "libpthread.so.0", "libpthread-2."];
        let name = path.rsplit('/').next().unwrap_or_default();
        // Debian keeps musl's apart from glibc's in `/usr/lib/x86_64-linux-musl/libc.so`.
        let is_libc = NAMES.iter().any(|begin| name.starts_with(begin)) || path.ends_with("-musl/libc.so");
        if is_libc { Owner::Libc } else { Owner::Other }
    }
}

/// Whether a function is left out of a stack. `is_outermost`: all outer functions were left out.
pub(crate) fn is_left_out(name: &str, owner: Owner, is_outermost: bool) -> bool {
    let is_interpreter = owner == Owner::Interpreter;
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    // A function of the interpreter that the file has no name for is glue as likely as not.
    let is_glue = is_interpreter
        && (name.is_empty()
            || begins(&PREFIXES)
            || begins(&["PyRun_", "_PyRun_", "pyrun_", "run_eval_code_obj", "run_mod"]));
    // Where libc is stripped, what it has no name for at the bottom of a stack is the start of a process or thread: of
    // its own functions only these call what is not libc's.
    let is_base = begins(&BASE_PREFIXES) || (owner == Owner::Libc && name.is_empty());
    // What CPython itself puts between frames for profilers.
    is_glue || name.starts_with("py::") || (is_outermost && is_base)
}

#[cfg(test)]
mod tests {
    use super::Owner::{Interpreter, Libc, Other};
    use super::{Owner, is_left_out};

    #[test]
    fn glue_is_left_out_and_work_is_not() {
        for (name, owner, is_outermost, expected) in [
            ("_PyFunction_Vectorcall", Interpreter, false, true),
            ("_PyFunction_Vectorcall", Other, false, false),
            ("list_sort_impl", Interpreter, false, false),
            ("builtin_sorted", Interpreter, false, false),
            ("", Interpreter, false, true),
            ("", Other, false, false),
            ("main", Other, true, true),
            ("main", Other, false, false),
            ("__libc_start_call_main", Other, true, true),
            ("", Libc, true, true),
            ("", Libc, false, false),
            ("qsort_r", Libc, true, false),
            ("py::f:/a b.py", Other, false, true),
        ] {
            assert_eq!(is_left_out(name, owner, is_outermost), expected, "{name}");
        }
    }

    #[test]
    fn libc_is_known_by_its_files_name() {
        for (path, expected) in [
            ("/usr/lib/x86_64-linux-gnu/libc.so.6", Libc),
            ("/lib/x86_64-linux-gnu/libpthread-2.31.so", Libc),
            ("/lib/ld-musl-x86_64.so.1", Libc),
            ("/usr/lib/x86_64-linux-musl/libc.so", Libc),
            ("/usr/lib/libcrypto.so.3", Other),
            ("", Other),
        ] {
            assert_eq!(Owner::of_file(path), expected, "{path}");
        }
    }
}
