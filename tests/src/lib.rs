//! What the tests stand on.
//!
//! # Layout
//! - [`admin`]: asking a server over HTTP how it is doing.
//! - [`browser`]: pages in a real browser. [`certificates`]: for TLS.
//! - [`collector`]: takes the traces of servers.
//! - [`docs`]: pages that are made from the code.
//! - [`mod@fuzz`]: bodies of the fuzz targets.
//! - [`frames`]: frames of HTTP/2 by hand.
//! - [`hostile`]: clients that harm others.
//! - [`http`]: a web server that answers as a test wants it to.
//! - [`images`]: small folders of real image files.
//! - [`interpreter`]: what every operator of the gradient compiler means, in plain loops over double precision.
//! - [`memory`], [`process`]: a server in this process, reached through pipes in memory; the programs as processes.
//! - [`model_file`]: ONNX files as a test wants them.
//! - [`network`]: machines of their own, and cables between them, where the system allows it.
//! - [`onnx_runtime`]: graphs on ONNX Runtime.
//! - [`proxy`]: a network that fails when told to; [`soak`]: a long time with everything going wrong at once.
//! - [`receive`]: requests for batches, and what comes back.
//! - [`mod@reference`]: the way of a validation image from pixels to tensor, in double precision.
//! - [`wait`]: for what must come about, with a deadline.

pub mod admin;
pub mod browser;
pub mod certificates;
pub mod collector;
pub mod docs;
pub mod frames;
pub mod fuzz;
pub mod hostile;
pub mod http;
pub mod images;
pub mod interpreter;
pub mod memory;
pub mod model_file;
pub mod network;
pub mod onnx_runtime;
pub mod process;
pub mod proxy;
pub mod receive;
pub mod reference;
pub mod soak;
pub mod wait;
