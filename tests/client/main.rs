//! Tests of the client and of the gradient compiler. No server is linked or started.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod adjusted;
mod architectures;
mod compiler;
mod events;
mod export;
mod golden;
mod golden_options;
mod grad_cam;
mod imbalance_losses;
mod losses;
mod metrics;
mod onnx;
mod precision;
mod predict;
mod predict_script;
mod weights;
