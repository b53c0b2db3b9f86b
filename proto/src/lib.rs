//! The wire contract of Equibatch: protobuf messages and gRPC stubs, generated from `equibatch/v1/equibatch.proto`.
//!
//! That file documents every message, field, unit and default; this crate holds nothing written by hand but the re-export. Fields of
//! type `bytes` are [`bytes::Bytes`], so that a tensor is received without a copy.

/// Package `equibatch.v1`.
#[allow(missing_docs, deprecated, clippy::all, reason = "generated code")]
pub mod v1 {
    tonic::include_proto!("equibatch.v1");

    /// Serialised file descriptors, for gRPC server reflection.
    pub const FILE_DESCRIPTOR_SET: &[u8] =
        include_bytes!(concat!(env!("OUT_DIR"), "/equibatch_descriptor.bin"));
}
