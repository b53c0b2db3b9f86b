//! Servers in the test's own process.

pub mod memory;
