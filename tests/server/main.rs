//! Tests of the server: its library, and its program as a process. No part of the client is linked.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
#[path = "../attacks/mod.rs"]
mod attacks;
mod bad_input;
mod balance;
mod bench;
mod caches;
mod canonical;
mod changing_files;
mod determinism;
mod download;
mod explain;
mod folders;
mod hostile;
mod limits;
mod mixing;
mod operator;
mod own_trainer;
mod pixel_ops;
mod recipes;
mod reference;
mod rendering;
mod several_jobs;
mod shared_memory;
mod shutdown;
mod stream;
mod traces;
mod twins;
mod verdict;
