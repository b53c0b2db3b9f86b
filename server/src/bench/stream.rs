//! Benchmarks of streams between a server and a receiver, both in this process.

use std::rc::Rc;

use equibatch_proto::v1::{self, StreamBatchesRequest};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use super::{
    engine::{self, runtime},
    error::Error,
    fixture::Fixture,
    interleaved::{Interleaved, Rounds},
    meter::Cost,
    receive::Receiver,
    report::Report,
    steady_state::{SETTLE_TIME, SteadyState},
    tcp_baseline,
};
use crate::service::{
    ServiceConfig, admit, serve,
    socket::{Address, Sockets},
};
use equibatch_engine::{pipeline::Engine, tensor::ElementType};

const TCP: &str = "stream_f32";
const BASELINE: &str = "raw_tcp_f32";

pub(super) fn join(fixture: &Fixture, interleaved: &mut Interleaved) -> Result<(), Error> {
    let cached = Rc::new(Serving::start(&fixture.engine)?);
    let uncached = Rc::new(Serving::start(&fixture.uncached)?);
    let (f32, u8) = (ElementType::F32, ElementType::U8);
    for (name, serving, transport, element_type) in [
        (TCP, &cached, Transport::Tcp, f32),
        ("stream_u8", &cached, Transport::Tcp, u8),
        ("unix_f32", &cached, Transport::Unix, f32),
        ("unix_u8", &cached, Transport::Unix, u8),
        ("shared_f32", &cached, Transport::SharedMemory, f32),
        ("shared_u8", &cached, Transport::SharedMemory, u8),
        ("uncached_f32", &uncached, Transport::Tcp, f32),
        ("uncached_u8", &uncached, Transport::Tcp, u8),
        ("uncached_shared_f32", &uncached, Transport::SharedMemory, f32),
    ] {
        interleaved.join(name, receive(serving, transport, fixture, element_type)?);
    }
    interleaved.join(BASELINE, tcp_baseline::copy(fixture, f32)?);
    interleaved.join("raw_tcp_u8", tcp_baseline::copy(fixture, u8)?);
    // The cost of transport is the cost of a stream less that of rendering.
    if !interleaved.has(engine::F32) {
        engine::join(fixture, interleaved)?;
    }
    Ok(())
}

/// Computes
///
/// * `transport_of_raw_tcp`: processor time to send the bytes over plain sockets, relative to the cost of transport over TCP (`stream_f32`
///   less `engine_f32`), both sides each. At 1, transport would cost no more than the two copies into and out of the kernel.
/// * `throughput_of_raw_tcp`: throughput of the stream, which the same processors also render, relative to that of plain sockets.
/// * `images_per_second`: the throughput of `stream_f32`.
pub(super) fn compare(rounds: &Rounds, report: &mut Report) {
    let transport = rounds.compare([BASELINE, TCP, engine::F32], |[tcp_baseline, stream, engine]| {
        tcp_baseline.cpu_ms() / (stream.cpu_ms() - engine.cpu_ms())
    });
    let throughput = rounds.compare([TCP, BASELINE], |[stream, tcp_baseline]| {
        stream.rate() / tcp_baseline.rate()
    });
    report.note_any("transport_of_raw_tcp", transport);
    report.note_any("throughput_of_raw_tcp", throughput);
    report.note_any(
        "images_per_second",
        rounds.compare([TCP], |[stream]| stream.rate()),
    );
}

/// How batches reach the receiver.
#[derive(Clone, Copy, Debug)]
enum Transport {
    Tcp,
    Unix,
    SharedMemory,
}

/// Receives the training batches of a server, one stream per run.
fn receive(
    serving: &Rc<Serving>,
    transport: Transport,
    fixture: &Fixture,
    element_type: ElementType,
) -> Result<impl FnMut(u64) -> Result<Cost, Error> + use<>, Error> {
    let size = fixture.size;
    let runtime = runtime()?;
    let socket = serving.folder.path().join(SOCKET);
    let receiver = match transport {
        Transport::Tcp => {
            runtime.block_on(Receiver::connect(format!("http://127.0.0.1:{}", serving.port)))?
        }
        Transport::Unix => runtime.block_on(Receiver::connect(format!("unix:{}", socket.display())))?,
        Transport::SharedMemory => Receiver::Shared(socket),
    };
    let bytes = fixture.request(element_type).batch_bytes();
    let serving = Rc::clone(serving);
    Ok(move |batches| {
        let _keeps_the_server_up = &serving;
        let steady_state = SteadyState::of(batches);
        let mut request = StreamBatchesRequest {
            batch_size: Some(size.batch),
            image_size: Some(size.image),
            images_per_epoch: Some(steady_state.whole() * u64::from(size.batch)),
            ..StreamBatchesRequest::default()
        };
        request.set_element_type(match element_type {
            ElementType::F32 => v1::ElementType::F32,
            ElementType::F16 => v1::ElementType::F16,
            ElementType::U8 => v1::ElementType::U8,
        });
        runtime.block_on(async {
            let measured = receiver.drain(request, bytes, steady_state).await;
            // Meanwhile the connection tells the server that the stream is dropped.
            tokio::time::sleep(SETTLE_TIME).await;
            measured
        })
    })
}

/// Name of the Unix socket in its folder.
const SOCKET: &str = "socket";

/// A server with threads of its own, configured as `server serve` does.
#[derive(Debug)]
struct Serving {
    /// TCP port on the loopback interface.
    port: u16,
    /// Folder of its Unix socket.
    folder: TempDir,
    stop: CancellationToken,
    _runtime: Runtime,
}

impl Serving {
    fn start(engine: &Engine) -> Result<Self, Error> {
        let runtime = Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(Error::Threads)?;
        let folder = TempDir::with_prefix("equibatch-bench-").map_err(Error::Folder)?;
        let addresses = [
            Address::Tcp {
                host: "127.0.0.1".to_owned(),
                port: 0,
            },
            Address::Unix {
                path: folder.path().join(SOCKET),
                mode: 0o600,
            },
        ];
        let sockets = runtime.block_on(Sockets::bind(&addresses))?;
        let ports = sockets.ports().map_err(Error::Socket)?;
        let stop = CancellationToken::new();
        let (engine, stopped) = (engine.clone(), stop.clone().cancelled_owned());
        // If the server fails, its receiver gets an error.
        runtime.spawn(async move {
            let config = ServiceConfig::default();
            let (incoming, _accepting) = admit(sockets.accept(), &config, CancellationToken::new());
            serve(engine, &config, incoming, stopped).await
        });
        Ok(Self {
            port: ports[0].port(),
            folder,
            stop,
            _runtime: runtime,
        })
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
