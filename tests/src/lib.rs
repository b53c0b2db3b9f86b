//! What needs both programs' libraries: `docs/reference.md`, the bodies of the fuzz targets, and the soak test.
//!
//! Tests are in `tests/server` (with `tests/attacks`), `tests/client` and `tests/end_to_end`; what they share is in `tests/harness`.

pub mod docs;
pub mod fuzz;
pub mod soak;
