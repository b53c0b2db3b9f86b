//! A server in this process to which fuzz targets send requests.

use std::sync::OnceLock;

use equibatch_proto::v1::{StreamBatchesRequest, batch_loader_client::BatchLoaderClient};
use tokio::runtime::Runtime;
use tonic::{
    Code::{FailedPrecondition, InvalidArgument, NotFound, ResourceExhausted},
    transport::Channel,
};

use equibatch_harness::{
    images::ImageFolder,
    receive::{next, open},
};
use equibatch_server_tests::memory::{MemoryServer, config, engine};

/// Largest batch (images x height x width) that is rendered; of larger ones only the description is read.
const RENDERED: u64 = 32 * 64 * 64;

/// The server and its client, for the life of the process.
struct Service {
    runtime: Runtime,
    client: BatchLoaderClient<Channel>,
    _server: MemoryServer,
    _images: ImageFolder,
}

fn start() -> Service {
    let images = ImageFolder::new(&[("birds", 5), ("flowers", 20)]);
    let runtime = Runtime::new().expect("a runtime");
    let (server, client) = runtime.block_on(async {
        let server = MemoryServer::start(engine(images.root(), config(1, 1 << 26)));
        let client = server.client().await;
        (server, client)
    });
    Service {
        runtime,
        client,
        _server: server,
        _images: images,
    }
}

/// Sends a request, and reads the description and the first batch.
///
/// # Panics
///
/// If the status is not one for an invalid request.
pub(super) fn ask(request: &StreamBatchesRequest) {
    static SERVICE: OnceLock<Service> = OnceLock::new();
    let service = SERVICE.get_or_init(start);
    let size = u64::from(request.image_size.unwrap_or(224));
    let pixels = u64::from(request.batch_size.unwrap_or(64)).saturating_mul(size.saturating_mul(size));
    let asked = service.runtime.block_on(async {
        let (_description, mut stream) = open(&mut service.client.clone(), request.clone()).await?;
        if pixels <= RENDERED {
            next(&mut stream).await?;
        }
        Ok(())
    });
    let refusals = [InvalidArgument, NotFound, FailedPrecondition, ResourceExhausted];
    let refused: Option<tonic::Status> = asked.err();
    assert!(
        refused
            .as_ref()
            .is_none_or(|status| refusals.contains(&status.code())),
        "{request:?}: {refused:?}"
    );
}
