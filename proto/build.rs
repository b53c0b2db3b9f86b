//! Compiles the contract with a protobuf compiler written in Rust, so that no `protoc` is needed.

use std::{env, fs, path::PathBuf};

use prost::Message as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let contract = "equibatch/v1/equibatch.proto";
    println!("cargo:rerun-if-changed={contract}");
    let descriptors = protox::compile([contract], ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("equibatch_descriptor.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .bytes(".equibatch.v1")
        .btree_map(".equibatch.v1")
        // The server has a service of its own for the streaming methods (`service/batch_service`).
        .generate_default_stubs(true)
        .compile_fds(descriptors)?;
    Ok(())
}
