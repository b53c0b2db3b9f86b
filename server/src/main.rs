//! The `server` program.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Returns freed memory to the system lazily, so that the buffers of about 512 KiB per frame and image do not page-fault each time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    equibatch_server::command::main()
}
