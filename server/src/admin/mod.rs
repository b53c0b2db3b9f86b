//! The admin HTTP server, on a port of its own: liveness, readiness and metrics.
//!
//! | path | answer |
//! |---|---|
//! | `/healthz` | 200 while the process runs |
//! | `/readyz` | 200 while it serves; 503, with the progress, while datasets are scanned, and during a shutdown |
//! | `/metrics` | metrics of the scanned datasets, for Prometheus |

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

/// Content type of the metrics.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// State of the admin server. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Admin(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    engine: OnceLock<Engine>,
    traffic: Traffic,
    stopping: CancellationToken,
}

impl Admin {
    /// Also reports the metrics of `traffic`.
    #[must_use]
    pub fn of(traffic: Traffic) -> Self {
        Self(Arc::new(Shared {
            traffic,
            ..Shared::default()
        }))
    }

    /// Reports on `engine` from now on.
    pub fn ready(&self, engine: Engine) {
        let _already = self.0.engine.set(engine);
    }

    /// Reports that the server is shutting down.
    pub fn stopping(&self) {
        self.0.stopping.cancel();
    }

    /// Serves requests on `listener` until the returned future is dropped.
    ///
    /// # Errors
    ///
    /// If the listener fails.
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
