//! What the operator asks over HTTP, on a port of its own: is it alive, is it ready, how is it doing.
//!
//! | path | answer |
//! |---|---|
//! | `/healthz` | 200 while the process works |
//! | `/readyz` | 200 while it serves; 503 while datasets are scanned, with the progress, and while it stops |
//! | `/metrics` | the metrics, for Prometheus; of datasets that are scanned |

mod listener;
mod metrics;

use std::{
    future::{Future, IntoFuture as _},
    io,
    sync::{Arc, OnceLock},
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::listener::BoundedListener;
pub use self::listener::CONNECTIONS;
use crate::service::Traffic;
use equibatch_engine::pipeline::Engine;

/// The form of the metrics, as HTTP names it.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the answers are made from. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Admin(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    engine: OnceLock<Engine>,
    traffic: Traffic,
    stopping: CancellationToken,
}

impl Admin {
    /// Answers about `traffic`, too.
    #[must_use]
    pub fn of(traffic: Traffic) -> Self {
        Self(Arc::new(Shared {
            traffic,
            ..Shared::default()
        }))
    }

    /// Answers from `engine` from now on.
    pub fn ready(&self, engine: Engine) {
        let _already = self.0.engine.set(engine);
    }

    /// Is not ready any more.
    pub fn stopping(&self) {
        self.0.stopping.cancel();
    }

    /// Answers whoever connects to `listener`, until the result is dropped.
    ///
    /// # Errors
    ///
    /// Where the listener fails.
    pub fn serve(self, listener: TcpListener) -> impl Future<Output = io::Result<()>> {
        let router = Router::new()
            .route("/healthz", get(async || "alive\n"))
            .route("/readyz", get(readiness))
            .route("/metrics", get(metrics_handler))
            .with_state(self);
        axum::serve(BoundedListener::new(listener), router).into_future()
    }
}

async fn readiness(State(admin): State<Admin>) -> (StatusCode, String) {
    let unready = |reason: &str| (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n"));
    if admin.0.stopping.is_cancelled() {
        return unready("stopping");
    }
    let Some(engine) = admin.0.engine.get() else {
        return unready("scanning datasets");
    };
    let awaited = engine.awaited();
    if awaited.is_empty() {
        return (StatusCode::OK, "ready\n".to_owned());
    }
    let awaited: Vec<String> = awaited
        .iter()
        .map(|(name, progress)| format!("{name}: {progress}"))
        .collect();
    unready(&format!("scanning datasets ({})", awaited.join(", ")))
}

async fn metrics_handler(State(admin): State<Admin>) -> impl IntoResponse {
    let engine = admin.0.engine.get();
    let text = engine.map(|engine| metrics::text(engine, &admin.0.traffic));
    let text = text.unwrap_or_else(|| "# EOF\n".to_owned());
    ([(CONTENT_TYPE, METRICS_TYPE)], text)
}
