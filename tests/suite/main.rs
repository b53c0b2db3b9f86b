//! Tests of the whole: server and client together, through their public interfaces. One binary, so that the heavy dependencies are linked
//! once.

mod architecture;
mod compiler;
mod golden;
mod rendering;
