//! The server's library within a test's own process.

pub mod memory;
