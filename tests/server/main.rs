//! Tests of the server: its library, and its program as a process. No part of the client is linked.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
#[path = "../attacks/mod.rs"]
mod attacks;
mod balance;
mod bench;
mod bottleneck;
mod caches;
mod canonical;
mod changing_files;
mod coalescing;
mod determinism;
mod download;
mod explain;
mod fair_sharing;
mod folders;
mod hostile;
mod invalid_input;
mod limits;
mod mixing;
mod operator;
mod own_trainer;
mod pixel_ops;
mod recipes;
mod reference;
mod rendering;
mod shared_memory;
mod shutdown;
mod stream;
mod traces;
mod verify_killed;
