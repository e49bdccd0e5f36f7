//! CPython 3.13. Written by `derive.py` from the headers of 3.13.0; do not edit.

/// The prefix that widens the argument of the instruction after it.
pub(super) const EXTENDED_ARG: u8 = 71;

/// Instructions in which time goes to C code.
pub(super) const NATIVE_CALLS: &[u8] = &[
    2,   // BEFORE_WITH
    45,  // BINARY_OP
    4,   // BINARY_SLICE
    5,   // BINARY_SUBSCR
    51,  // BUILD_STRING
    53,  // CALL
    165, // CALL_BUILTIN_CLASS
    166, // CALL_BUILTIN_FAST
    167, // CALL_BUILTIN_FAST_WITH_KEYWORDS
    168, // CALL_BUILTIN_O
    54,  // CALL_FUNCTION_EX
    169, // CALL_ISINSTANCE
    57,  // CALL_KW
    172, // CALL_METHOD_DESCRIPTOR_FAST
    173, // CALL_METHOD_DESCRIPTOR_FAST_WITH_KEYWORDS
    174, // CALL_METHOD_DESCRIPTOR_NOARGS
    175, // CALL_METHOD_DESCRIPTOR_O
    176, // CALL_NON_PY_GENERAL
    179, // CALL_STR_1
    180, // CALL_TUPLE_1
    58,  // COMPARE_OP
    59,  // CONTAINS_OP
    60,  // CONVERT_VALUE
    9,   // DELETE_SUBSCR
    68,  // DICT_MERGE
    69,  // DICT_UPDATE
    14,  // FORMAT_SIMPLE
    15,  // FORMAT_WITH_SPEC
    72,  // FOR_ITER
    75,  // IMPORT_NAME
    244, // INSTRUMENTED_CALL
    246, // INSTRUMENTED_CALL_FUNCTION_EX
    245, // INSTRUMENTED_CALL_KW
    243, // INSTRUMENTED_FOR_ITER
    81,  // LIST_EXTEND
    104, // SEND
    107, // SET_UPDATE
    38,  // STORE_SLICE
    39,  // STORE_SUBSCR
    41,  // UNARY_INVERT
    42,  // UNARY_NEGATIVE
    116, // UNPACK_EX
    117, // UNPACK_SEQUENCE
    44,  // WITH_EXCEPT_START
];

/// Those of them that call a function by name, not through an operator.
pub(super) const CALLS: &[u8] = &[
    53,  // CALL
    165, // CALL_BUILTIN_CLASS
    166, // CALL_BUILTIN_FAST
    167, // CALL_BUILTIN_FAST_WITH_KEYWORDS
    168, // CALL_BUILTIN_O
    54,  // CALL_FUNCTION_EX
    169, // CALL_ISINSTANCE
    57,  // CALL_KW
    172, // CALL_METHOD_DESCRIPTOR_FAST
    173, // CALL_METHOD_DESCRIPTOR_FAST_WITH_KEYWORDS
    174, // CALL_METHOD_DESCRIPTOR_NOARGS
    175, // CALL_METHOD_DESCRIPTOR_O
    176, // CALL_NON_PY_GENERAL
    179, // CALL_STR_1
    180, // CALL_TUPLE_1
    75,  // IMPORT_NAME
    244, // INSTRUMENTED_CALL
    246, // INSTRUMENTED_CALL_FUNCTION_EX
    245, // INSTRUMENTED_CALL_KW
];
