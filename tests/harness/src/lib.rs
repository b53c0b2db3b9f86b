//! What tests of the server, of the client and of both share. Nothing of `equibatch-server`, `equibatch-client` or `equibatch-training` is
//! linked here, so that an edit of one program does not build the other program's tests again.
//!
//! # Layout
//! - [`admin`]: HTTP requests to a server's operator port.
//! - [`browser`]: pages in Chromium. [`certificates`]: certificate authorities for TLS.
//! - [`checkout`]: paths of the checkout. [`collector`]: receives OpenTelemetry traces.
//! - [`files`]: the files of a folder, and logs. [`frames`]: HTTP/2 frames, written byte by byte.
//! - [`hostile`]: clients that attack a server.
//! - [`http`]: a web server whose replies the test chooses.
//! - [`images`]: small folders of image files.
//! - [`network`]: network namespaces joined by virtual cables, if the system allows them.
//! - [`process`]: the two programs as processes.
//! - [`proxy`]: a TCP proxy that fails on request.
//! - [`receive`]: requests for batches, and what comes back.
//! - [`mod@reference`]: a validation image from pixels to tensor, in double precision.
//! - [`wait`]: waiting with a deadline.

pub mod admin;
pub mod browser;
pub mod certificates;
pub mod checkout;
pub mod collector;
pub mod files;
pub mod frames;
pub mod hostile;
pub mod http;
pub mod images;
pub mod network;
pub mod process;
pub mod proxy;
pub mod receive;
pub mod reference;
pub mod wait;
