//! CPython 3.15. Written by `derive.py` from the headers of 3.15.2; do not edit.

/// The prefix that widens the argument of the instruction after it.
pub(super) const EXTENDED_ARG: u8 = 67;

/// Instructions in which time goes to C code.
pub(super) const NATIVE_CALLS: &[u8] = &[
    42,  // BINARY_OP
    1,   // BINARY_SLICE
    48,  // BUILD_STRING
    50,  // CALL
    147, // CALL_BUILTIN_CLASS
    148, // CALL_BUILTIN_FAST
    149, // CALL_BUILTIN_FAST_WITH_KEYWORDS
    150, // CALL_BUILTIN_O
    151, // CALL_EX_NON_PY_GENERAL
    4,   // CALL_FUNCTION_EX
    153, // CALL_ISINSTANCE
    53,  // CALL_KW
    155, // CALL_KW_NON_PY
    159, // CALL_METHOD_DESCRIPTOR_FAST
    160, // CALL_METHOD_DESCRIPTOR_FAST_WITH_KEYWORDS
    161, // CALL_METHOD_DESCRIPTOR_NOARGS
    162, // CALL_METHOD_DESCRIPTOR_O
    163, // CALL_NON_PY_GENERAL
    166, // CALL_STR_1
    167, // CALL_TUPLE_1
    54,  // COMPARE_OP
    55,  // CONTAINS_OP
    56,  // CONVERT_VALUE
    8,   // DELETE_SUBSCR
    64,  // DICT_MERGE
    65,  // DICT_UPDATE
    12,  // FORMAT_SIMPLE
    13,  // FORMAT_WITH_SPEC
    68,  // FOR_ITER
    72,  // IMPORT_NAME
    249, // INSTRUMENTED_CALL
    251, // INSTRUMENTED_CALL_FUNCTION_EX
    250, // INSTRUMENTED_CALL_KW
    236, // INSTRUMENTED_FOR_ITER
    78,  // LIST_EXTEND
    105, // SEND
    108, // SET_UPDATE
    35,  // STORE_SLICE
    36,  // STORE_SUBSCR
    38,  // UNARY_INVERT
    39,  // UNARY_NEGATIVE
    117, // UNPACK_EX
    118, // UNPACK_SEQUENCE
    41,  // WITH_EXCEPT_START
];
