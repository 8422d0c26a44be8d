// SPDX-License-Identifier: MIT OR Apache-2.0
//! The markers that tell the types of values.

/// The type markers of AMF0. 4 (movie clip) and 14 (record set) are reserved and never met.
pub(super) mod amf0 {
    pub(in crate::amf) const NUMBER: u8 = 0;
    pub(in crate::amf) const BOOLEAN: u8 = 1;
    pub(in crate::amf) const STRING: u8 = 2;
    pub(in crate::amf) const OBJECT: u8 = 3;
    pub(in crate::amf) const NULL: u8 = 5;
    pub(in crate::amf) const UNDEFINED: u8 = 6;
    pub(in crate::amf) const REFERENCE: u8 = 7;
    pub(in crate::amf) const ECMA_ARRAY: u8 = 8;
    pub(in crate::amf) const OBJECT_END: u8 = 9;
    pub(in crate::amf) const STRICT_ARRAY: u8 = 10;
    pub(in crate::amf) const DATE: u8 = 11;
    pub(in crate::amf) const LONG_STRING: u8 = 12;
    pub(in crate::amf) const UNSUPPORTED: u8 = 13;
    pub(in crate::amf) const XML_DOCUMENT: u8 = 15;
    pub(in crate::amf) const TYPED_OBJECT: u8 = 16;
    /// One value of AMF3 follows.
    pub(in crate::amf) const AMF3: u8 = 17;
}

/// The type markers of AMF3.
pub(super) mod amf3 {
    pub(in crate::amf) const UNDEFINED: u8 = 0;
    pub(in crate::amf) const NULL: u8 = 1;
    pub(in crate::amf) const FALSE: u8 = 2;
    pub(in crate::amf) const TRUE: u8 = 3;
    pub(in crate::amf) const INTEGER: u8 = 4;
    pub(in crate::amf) const NUMBER: u8 = 5;
    pub(in crate::amf) const STRING: u8 = 6;
    pub(in crate::amf) const XML_DOCUMENT: u8 = 7;
    pub(in crate::amf) const DATE: u8 = 8;
    pub(in crate::amf) const ARRAY: u8 = 9;
    pub(in crate::amf) const OBJECT: u8 = 10;
    pub(in crate::amf) const XML: u8 = 11;
    pub(in crate::amf) const BYTE_ARRAY: u8 = 12;
    pub(in crate::amf) const VECTOR_INT: u8 = 13;
    pub(in crate::amf) const VECTOR_UINT: u8 = 14;
    pub(in crate::amf) const VECTOR_NUMBER: u8 = 15;
    pub(in crate::amf) const VECTOR_OBJECT: u8 = 16;
    pub(in crate::amf) const DICTIONARY: u8 = 17;
}
