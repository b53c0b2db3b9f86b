//! Tests of both programs together.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod architecture;
mod client_errors;
mod compare;
mod contact_sheets;
mod docs;
mod exported_run;
mod failover;
mod fuzz;
mod kept_features;
mod killed;
mod loss_options;
mod mixing;
mod network;
mod onnx_networks;
mod operator;
mod report;
mod resumed;
mod schedules;
mod setup;
mod splits;
mod stages;
mod staging;
mod terminal;
mod training;
mod transfer;
mod tta;
mod tune;
mod unix_socket;
mod wire;
