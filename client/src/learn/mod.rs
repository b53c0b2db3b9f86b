//! Trains, judges and reports.

pub mod metrics;
pub mod report;
