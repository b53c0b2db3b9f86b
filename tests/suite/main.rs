//! Tests of the whole: server and client together, through their public interfaces. One binary, so that the heavy dependencies are linked
//! once.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod architecture;
mod architectures;
mod bad_client;
mod bad_input;
mod balance;
mod bench;
mod changing_files;
mod compiler;
mod determinism;
mod docs;
mod download;
mod explain;
mod export;
mod failover;
mod folders;
mod golden;
mod golden_options;
mod limits;
mod local;
mod losses;
mod metrics;
mod mixing;
mod network;
mod operator;
mod pictures;
mod predict;
mod recipes;
mod reference;
mod rendering;
mod several_jobs;
mod shutdown;
mod stages;
mod stream;
mod terminal;
mod touches;
mod traces;
mod training;
mod transfer;
mod verdict;
mod weights;
mod wire;
