// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is handed out: the header, the ABI, the exported names, installing, the documents.

mod abi;
mod docs;
mod exports;
mod header;
mod install;
mod readme;
