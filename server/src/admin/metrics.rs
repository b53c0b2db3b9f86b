//! The metrics in the OpenMetrics text format. All values are read when they are requested; nothing is counted here.

use std::{fmt, time::Duration};

use equibatch_engine::{
    cache,
    pipeline::{Engine, Histogram, MetricsSnapshot},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text},
    metrics::MetricType,
    registry::Registry,
};

use crate::{
    service::{Refusal, Traffic},
    telemetry,
};

/// Type and source of a metric.
enum Source {
    /// Per dataset.
    Counter(fn(&MetricsSnapshot) -> u64),
    /// Counter of seconds, per dataset.
    Seconds(fn(&MetricsSnapshot) -> Duration),
    /// Per dataset.
    Gauge(fn(&MetricsSnapshot) -> u64),
    /// Of durations, per dataset.
    Histogram(fn(&MetricsSnapshot) -> Histogram),
    /// Of a cache, which all datasets share.
    CacheCounter(Tier, fn(&cache::Stats) -> u64),
    /// Of a cache.
    CacheGauge(Tier, fn(&cache::Stats) -> u64),
    /// Of the server.
    ServerGauge(fn(&Engine) -> u64),
    /// Of the process.
    ServerCounter(fn() -> u64),
    /// Of the connections.
    TrafficGauge(fn(&Traffic) -> u64),
    /// Of the connections.
    TrafficCounter(fn(&Traffic) -> u64),
    /// Counter by reason.
    Refusals,
    /// Gauge per dataset.
    Quarantined,
    /// Gauge per client.
    ClientStreams,
}

/// Which cache.
#[derive(Clone, Copy)]
enum Tier {
    Images,
    Files,
}

/// Name after `equibatch_`, help text, and source. `_total` is appended to the names of counters.
#[rustfmt::skip]
const METRICS: [(&str, &str, Source); 36] = {
    use Source::{
        CacheCounter, CacheGauge, ClientStreams, Counter, Gauge, Histogram, Quarantined, Refusals, Seconds,
        ServerCounter, ServerGauge, TrafficCounter, TrafficGauge,
    };
    use Tier::{Files, Images};
    [
        ("streams", "Streams open now", Gauge(|r| r.open)),
        ("streams_opened", "Streams opened", Counter(|r| r.opened)),
        ("streams_failed", "Streams ended by an error of the server or its files", Counter(|r| r.failed)),
        ("batches", "Batches delivered to readers", Counter(|r| r.sums.batches)),
        ("images", "Images delivered to readers", Counter(|r| r.sums.images)),
        ("tensor_bytes", "Bytes of tensors delivered to readers", Counter(|r| r.sums.bytes)),
        ("replaced_images", "Images delivered in place of a broken file", Counter(|r| r.sums.replaced)),
        ("cached_images", "Images taken from the cache or from a decode of another stream", Counter(|r| r.sums.hits)),
        ("decoded_images", "Images read and decoded", Counter(|r| r.sums.decodes)),
        ("reading_seconds", "Worker time spent reading files", Seconds(|r| r.sums.reading)),
        ("decoding_seconds", "Worker time spent decoding", Seconds(|r| r.sums.decoding)),
        ("rendering_seconds", "Worker time spent augmenting and writing tensors", Seconds(|r| r.sums.rendering)),
        ("waiting_for_reader_seconds", "Time from the delivery of a batch to the demand for the next one", Seconds(|r| r.sums.waiting_for_reader)),
        ("sending_seconds", "Time for which writes to connections were pending", Seconds(|r| r.sums.sending)),
        ("client_working_seconds", "Time that reporting clients spent working on batches", Seconds(|r| r.usage.working)),
        ("client_waiting_seconds", "Time that reporting clients spent waiting for batches", Seconds(|r| r.usage.waiting)),
        ("batch_wait_seconds", "Time from the demand for a batch to its delivery", Histogram(|r| r.sums.latency)),
        ("cache_hits", "Images found in the cache", CacheCounter(Images, |s| s.hits)),
        ("cache_misses", "Images not found in the cache", CacheCounter(Images, |s| s.misses)),
        ("cache_refusals", "Decoded images that were not cached for lack of room", CacheCounter(Images, |s| s.rejections)),
        ("cache_images", "Images in the cache", CacheGauge(Images, |s| s.images)),
        ("cache_bytes", "Bytes of the images in the cache", CacheGauge(Images, |s| s.bytes)),
        ("cache_budget_bytes", "Capacity of the image cache in bytes", CacheGauge(Images, |s| s.budget)),
        ("encoded_cache_hits", "Files found in the file cache", CacheCounter(Files, |s| s.hits)),
        ("encoded_cache_misses", "Cacheable files not found in the file cache", CacheCounter(Files, |s| s.misses)),
        ("encoded_cache_refusals", "Files that were not cached for lack of room", CacheCounter(Files, |s| s.rejections)),
        ("encoded_cache_files", "Files in the file cache", CacheGauge(Files, |s| s.images)),
        ("encoded_cache_bytes", "Bytes of the files in the file cache", CacheGauge(Files, |s| s.bytes)),
        ("encoded_cache_budget_bytes", "Capacity of the file cache in bytes", CacheGauge(Files, |s| s.budget)),
        ("queued_streams", "Streams waiting for a worker", ServerGauge(|engine| engine.queued_streams() as u64)),
        ("quarantined_files", "Files excluded from serving, at the scan or later", Quarantined),
        ("connections", "Connections open now", TrafficGauge(Traffic::connections)),
        ("connections_opened", "Connections accepted", TrafficCounter(Traffic::connections_opened)),
        ("refusals", "Connections and requests refused", Refusals),
        ("log_lines_dropped", "Log lines dropped because standard error was not read in time", ServerCounter(telemetry::dropped_lines)),
        ("client_streams", "Streams open now by client; only the 32 clients with the most streams are named", ClientStreams),
    ]
};

/// All metrics as text.
pub(super) fn text(engine: &Engine, traffic: &Traffic) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(MetricsCollector(engine.clone(), traffic.clone())));
    let mut out = String::new();
    text::encode(&mut out, &registry).expect("writing to a string does not fail");
    out
}

#[derive(Debug)]
struct MetricsCollector(Engine, Traffic);

impl Collector for MetricsCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (images, files) = (self.0.cache().stats(), self.0.encoded().stats());
        let stats = |tier: &Tier| match tier {
            Tier::Images => &images,
            Tier::Files => &files,
        };
        let datasets = self.0.datasets().into_iter();
        let readings: Vec<_> = datasets
            .map(|served| {
                (
                    [("dataset", served.dataset().name.as_str())],
                    served.metrics().read(),
                )
            })
            .collect();
        for (name, help, source) in &METRICS {
            let name = format!("equibatch_{name}");
            let mut metric = encoder.encode_descriptor(&name, help, None, source.kind())?;
            match source {
                Source::CacheCounter(tier, value) => count(&mut metric, value(stats(tier)) as f64)?,
                Source::CacheGauge(tier, value) => metric.encode_gauge(&value(stats(tier)))?,
                Source::ServerGauge(value) => metric.encode_gauge(&value(&self.0))?,
                Source::ServerCounter(value) => count(&mut metric, value() as f64)?,
                Source::TrafficGauge(value) => metric.encode_gauge(&value(&self.1))?,
                Source::TrafficCounter(value) => count(&mut metric, value(&self.1) as f64)?,
                Source::Quarantined => {
                    for served in self.0.datasets() {
                        let labels = [("dataset", served.dataset().name.as_str())];
                        let files = served.quarantined_files() as u64;
                        metric.encode_family(&labels)?.encode_gauge(&files)?;
                    }
                }
                Source::Refusals => {
                    for refusal in Refusal::ALL {
                        let value = self.1.refusals(refusal) as f64;
                        count(&mut metric.encode_family(&[("reason", refusal.name())])?, value)?;
                    }
                }
                Source::ClientStreams => {
                    for (client, streams) in self.1.streams_by_client() {
                        metric
                            .encode_family(&[("client", client.as_str())])?
                            .encode_gauge(&streams)?;
                    }
                }
                Source::Counter(_) | Source::Seconds(_) | Source::Gauge(_) | Source::Histogram(_) => {
                    for (labels, reading) in &readings {
                        source.encode(reading, metric.encode_family(labels)?)?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Source {
    fn kind(&self) -> MetricType {
        match self {
            Self::Counter(_)
            | Self::Seconds(_)
            | Self::CacheCounter(..)
            | Self::ServerCounter(_)
            | Self::TrafficCounter(_)
            | Self::Refusals => MetricType::Counter,
            Self::Gauge(_)
            | Self::CacheGauge(..)
            | Self::ServerGauge(_)
            | Self::TrafficGauge(_)
            | Self::Quarantined
            | Self::ClientStreams => MetricType::Gauge,
            Self::Histogram(_) => MetricType::Histogram,
        }
    }

    /// Encodes the value of one dataset.
    fn encode(&self, reading: &MetricsSnapshot, mut metric: MetricEncoder<'_>) -> fmt::Result {
        match self {
            Self::Counter(value) => count(&mut metric, value(reading) as f64),
            Self::Seconds(value) => count(&mut metric, value(reading).as_secs_f64()),
            Self::Gauge(value) => metric.encode_gauge(&(value(reading) as f64)),
            Self::Histogram(value) => {
                let histogram = value(reading);
                let bounds = Histogram::BOUNDS.into_iter().chain([f64::MAX]);
                let classes: Vec<(f64, u64)> = bounds.zip(histogram.counts().iter().copied()).collect();
                let count = histogram.counts().iter().sum();
                metric.encode_histogram::<NoLabelSet>(histogram.sum().as_secs_f64(), count, &classes, None)
            }
            _ => Ok(()),
        }
    }
}

fn count(metric: &mut MetricEncoder<'_>, value: f64) -> fmt::Result {
    metric.encode_counter::<NoLabelSet, f64, f64>(&value, None)
}
