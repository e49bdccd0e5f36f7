//! CPython 3.14. Written by `derive.py` from the headers of 3.14.10; do not edit.

/// The prefix that widens the argument of the instruction after it.
pub(super) const EXTENDED_ARG: u8 = 69;

/// Instructions in which time goes to C code.
pub(super) const NATIVE_CALLS: &[u8] = &[
    44,  // BINARY_OP
    1,   // BINARY_SLICE
    50,  // BUILD_STRING
    52,  // CALL
    146, // CALL_BUILTIN_CLASS
    147, // CALL_BUILTIN_FAST
    148, // CALL_BUILTIN_FAST_WITH_KEYWORDS
    149, // CALL_BUILTIN_O
    4,   // CALL_FUNCTION_EX
    150, // CALL_ISINSTANCE
    55,  // CALL_KW
    152, // CALL_KW_NON_PY
    156, // CALL_METHOD_DESCRIPTOR_FAST
    157, // CALL_METHOD_DESCRIPTOR_FAST_WITH_KEYWORDS
    158, // CALL_METHOD_DESCRIPTOR_NOARGS
    159, // CALL_METHOD_DESCRIPTOR_O
    160, // CALL_NON_PY_GENERAL
    163, // CALL_STR_1
    164, // CALL_TUPLE_1
    56,  // COMPARE_OP
    57,  // CONTAINS_OP
    58,  // CONVERT_VALUE
    8,   // DELETE_SUBSCR
    66,  // DICT_MERGE
    67,  // DICT_UPDATE
    12,  // FORMAT_SIMPLE
    13,  // FORMAT_WITH_SPEC
    70,  // FOR_ITER
    73,  // IMPORT_NAME
    250, // INSTRUMENTED_CALL
    252, // INSTRUMENTED_CALL_FUNCTION_EX
    251, // INSTRUMENTED_CALL_KW
    237, // INSTRUMENTED_FOR_ITER
    79,  // LIST_EXTEND
    106, // SEND
    109, // SET_UPDATE
    37,  // STORE_SLICE
    38,  // STORE_SUBSCR
    40,  // UNARY_INVERT
    41,  // UNARY_NEGATIVE
    118, // UNPACK_EX
    119, // UNPACK_SEQUENCE
    43,  // WITH_EXCEPT_START
];

/// Those of them that call a function by name, not through an operator.
pub(super) const CALLS: &[u8] = &[
    52,  // CALL
    146, // CALL_BUILTIN_CLASS
    147, // CALL_BUILTIN_FAST
    148, // CALL_BUILTIN_FAST_WITH_KEYWORDS
    149, // CALL_BUILTIN_O
    4,   // CALL_FUNCTION_EX
    150, // CALL_ISINSTANCE
    55,  // CALL_KW
    152, // CALL_KW_NON_PY
    156, // CALL_METHOD_DESCRIPTOR_FAST
    157, // CALL_METHOD_DESCRIPTOR_FAST_WITH_KEYWORDS
    158, // CALL_METHOD_DESCRIPTOR_NOARGS
    159, // CALL_METHOD_DESCRIPTOR_O
    160, // CALL_NON_PY_GENERAL
    163, // CALL_STR_1
    164, // CALL_TUPLE_1
    73,  // IMPORT_NAME
    250, // INSTRUMENTED_CALL
    252, // INSTRUMENTED_CALL_FUNCTION_EX
    251, // INSTRUMENTED_CALL_KW
];
