//! Which native functions a merged stack leaves out: those by which the interpreter calls Python functions, as the
//! Python frames already say so, and those from the start of a process or thread to its first Python frame.

/// Functions of the interpreter between two Python frames, by how their names begin. They pass a call on and do no
/// work of their own.
const PREFIXES: [&str; 39] = [
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

/// Whether a function is left out of a stack. `is_interpreter`: its file is that of the interpreter; `is_outermost`: all
/// outer functions were left out.
pub(crate) fn is_left_out(name: &str, is_interpreter: bool, is_outermost: bool) -> bool {
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    // A function of the interpreter that the file has no name for is glue as likely as not.
    let is_glue = is_interpreter
        && (name.is_empty()
            || begins(&PREFIXES)
            || begins(&["PyRun_", "_PyRun_", "pyrun_", "run_eval_code_obj", "run_mod"]));
    // What CPython itself puts between frames for profilers.
    is_glue || name.starts_with("py::") || (is_outermost && begins(&BASE_PREFIXES))
}

#[cfg(test)]
mod tests {
    use super::is_left_out;

    #[test]
    fn glue_is_left_out_and_work_is_not() {
        for (name, is_interpreter, is_outermost, expected) in [
            ("_PyFunction_Vectorcall", true, false, true),
            ("_PyFunction_Vectorcall", false, false, false),
            ("list_sort_impl", true, false, false),
            ("builtin_sorted", true, false, false),
            ("", true, false, true),
            ("", false, false, false),
            ("main", false, true, true),
            ("main", false, false, false),
            ("__libc_start_call_main", false, true, true),
            ("py::f:/a b.py", false, false, true),
        ] {
            assert_eq!(is_left_out(name, is_interpreter, is_outermost), expected, "{name}");
        }
    }
}
