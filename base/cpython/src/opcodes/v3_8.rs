//! CPython 3.8. Written by `derive.py` from the headers of 3.8.18; do not edit.

/// The prefix that widens the argument of the instruction after it.
pub(super) const EXTENDED_ARG: u8 = 144;

/// Instructions in which time goes to C code.
pub(super) const NATIVE_CALLS: &[u8] = &[
    23,  // BINARY_ADD
    64,  // BINARY_AND
    26,  // BINARY_FLOOR_DIVIDE
    62,  // BINARY_LSHIFT
    16,  // BINARY_MATRIX_MULTIPLY
    22,  // BINARY_MODULO
    20,  // BINARY_MULTIPLY
    66,  // BINARY_OR
    19,  // BINARY_POWER
    63,  // BINARY_RSHIFT
    25,  // BINARY_SUBSCR
    24,  // BINARY_SUBTRACT
    27,  // BINARY_TRUE_DIVIDE
    65,  // BINARY_XOR
    149, // BUILD_LIST_UNPACK
    150, // BUILD_MAP_UNPACK
    151, // BUILD_MAP_UNPACK_WITH_CALL
    153, // BUILD_SET_UNPACK
    157, // BUILD_STRING
    152, // BUILD_TUPLE_UNPACK
    158, // BUILD_TUPLE_UNPACK_WITH_CALL
    131, // CALL_FUNCTION
    142, // CALL_FUNCTION_EX
    141, // CALL_FUNCTION_KW
    161, // CALL_METHOD
    107, // COMPARE_OP
    61,  // DELETE_SUBSCR
    155, // FORMAT_VALUE
    93,  // FOR_ITER
    108, // IMPORT_NAME
    84,  // IMPORT_STAR
    55,  // INPLACE_ADD
    77,  // INPLACE_AND
    28,  // INPLACE_FLOOR_DIVIDE
    75,  // INPLACE_LSHIFT
    17,  // INPLACE_MATRIX_MULTIPLY
    59,  // INPLACE_MODULO
    57,  // INPLACE_MULTIPLY
    79,  // INPLACE_OR
    67,  // INPLACE_POWER
    76,  // INPLACE_RSHIFT
    56,  // INPLACE_SUBTRACT
    29,  // INPLACE_TRUE_DIVIDE
    78,  // INPLACE_XOR
    143, // SETUP_WITH
    60,  // STORE_SUBSCR
    15,  // UNARY_INVERT
    11,  // UNARY_NEGATIVE
    10,  // UNARY_POSITIVE
    94,  // UNPACK_EX
    92,  // UNPACK_SEQUENCE
    81,  // WITH_CLEANUP_START
    72,  // YIELD_FROM
];

/// Those of them that call a function by name, not through an operator.
pub(super) const CALLS: &[u8] = &[
    131, // CALL_FUNCTION
    142, // CALL_FUNCTION_EX
    141, // CALL_FUNCTION_KW
    161, // CALL_METHOD
    108, // IMPORT_NAME
    84,  // IMPORT_STAR
];
