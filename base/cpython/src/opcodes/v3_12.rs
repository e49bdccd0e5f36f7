//! CPython 3.12. Written by `derive.py` from the headers of 3.12.1; do not edit.

/// The prefix that widens the argument of the instruction after it.
pub(super) const EXTENDED_ARG: u8 = 144;

/// Instructions in which time goes to C code.
pub(super) const NATIVE_CALLS: &[u8] = &[
    53,  // BEFORE_WITH
    122, // BINARY_OP
    26,  // BINARY_SLICE
    25,  // BINARY_SUBSCR
    157, // BUILD_STRING
    171, // CALL
    29,  // CALL_BUILTIN_CLASS
    34,  // CALL_BUILTIN_FAST_WITH_KEYWORDS
    142, // CALL_FUNCTION_EX
    38,  // CALL_METHOD_DESCRIPTOR_FAST_WITH_KEYWORDS
    39,  // CALL_NO_KW_BUILTIN_FAST
    40,  // CALL_NO_KW_BUILTIN_O
    41,  // CALL_NO_KW_ISINSTANCE
    44,  // CALL_NO_KW_METHOD_DESCRIPTOR_FAST
    45,  // CALL_NO_KW_METHOD_DESCRIPTOR_NOARGS
    46,  // CALL_NO_KW_METHOD_DESCRIPTOR_O
    47,  // CALL_NO_KW_STR_1
    48,  // CALL_NO_KW_TUPLE_1
    107, // COMPARE_OP
    118, // CONTAINS_OP
    61,  // DELETE_SUBSCR
    164, // DICT_MERGE
    165, // DICT_UPDATE
    155, // FORMAT_VALUE
    93,  // FOR_ITER
    108, // IMPORT_NAME
    241, // INSTRUMENTED_CALL
    244, // INSTRUMENTED_CALL_FUNCTION_EX
    248, // INSTRUMENTED_FOR_ITER
    162, // LIST_EXTEND
    123, // SEND
    163, // SET_UPDATE
    27,  // STORE_SLICE
    60,  // STORE_SUBSCR
    15,  // UNARY_INVERT
    11,  // UNARY_NEGATIVE
    94,  // UNPACK_EX
    92,  // UNPACK_SEQUENCE
    49,  // WITH_EXCEPT_START
];

/// Those of them that call a function by name, not through an operator.
pub(super) const CALLS: &[u8] = &[
    171, // CALL
    29,  // CALL_BUILTIN_CLASS
    34,  // CALL_BUILTIN_FAST_WITH_KEYWORDS
    142, // CALL_FUNCTION_EX
    38,  // CALL_METHOD_DESCRIPTOR_FAST_WITH_KEYWORDS
    39,  // CALL_NO_KW_BUILTIN_FAST
    40,  // CALL_NO_KW_BUILTIN_O
    41,  // CALL_NO_KW_ISINSTANCE
    44,  // CALL_NO_KW_METHOD_DESCRIPTOR_FAST
    45,  // CALL_NO_KW_METHOD_DESCRIPTOR_NOARGS
    46,  // CALL_NO_KW_METHOD_DESCRIPTOR_O
    47,  // CALL_NO_KW_STR_1
    48,  // CALL_NO_KW_TUPLE_1
    108, // IMPORT_NAME
    241, // INSTRUMENTED_CALL
    244, // INSTRUMENTED_CALL_FUNCTION_EX
];
