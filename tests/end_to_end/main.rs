//! Tests of both programs together.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod architecture;
mod bad_client;
mod compare;
mod contact_sheets;
mod docs;
mod export;
mod failover;
mod fuzz;
mod killed;
mod local;
mod network;
mod objective;
mod onnx_networks;
mod operator;
mod report;
mod resumed;
mod setup;
mod splits;
mod stages;
mod staging;
mod terminal;
mod training;
mod transfer;
mod tta;
mod wire;
