//! Runs every stage with tiny sizes.

use std::{fs, num::NonZeroUsize};

use tempfile::TempDir;

use super::*;

/// The results of `stages` over six small images.
fn figures(stages: &[Stage]) -> Report {
    let folder = TempDir::new().unwrap();
    for class in ["birds", "flowers"] {
        fs::create_dir(folder.path().join(class)).unwrap();
        for index in 0..3 {
            let file = data::photograph((48 + index, 40)).unwrap();
            fs::write(folder.path().join(class).join(format!("{index}.jpg")), file).unwrap();
        }
    }
    let two = NonZeroUsize::new(2).unwrap();
    let options = Options {
        data: Some(folder.path().to_owned()),
        stages: stages.to_vec(),
        threads: two,
        rounds: two,
        seconds: 0.0,
        size: Size {
            image: 32,
            batch: 4,
            plan: (1000, 10),
            photograph: (320, 240),
        },
    };
    run(&options).unwrap()
}

fn assert_positive(report: &Report, names: &[&str]) {
    for name in names {
        let value = report
            .figure(name)
            .unwrap_or_else(|| panic!("no {name} in {report:?}"));
        assert!(value.is_finite() && value > 0.0, "{name} is {value}");
    }
    let json: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&report.json()).unwrap();
    for name in names {
        assert_eq!(json[*name].as_f64(), report.figure(name), "{name}");
    }
}

#[test]
fn the_plan_stage_reports_its_times() {
    // Not `plan_10m_mb`: so few samples may need no additional page.
    let names = ["plan_10m_ms", "plan_10m_batch_us", "plan_10m_epoch_us"];
    assert_positive(&figures(&[Stage::Plan]), &names);
}

#[test]
fn the_engine_stage_covers_every_element_type() {
    let report = figures(&[Stage::Engine]);
    assert_positive(
        &report,
        &[
            "engine_f32_cpu_ms",
            "engine_f16_cpu_ms",
            "engine_u8_cpu_ms",
            "engine_f32_images_per_second",
            "engine_f32_one_thread_cpu_ms",
            "engine_scaling",
        ],
    );
    assert_eq!(
        report.figure("stream_f32_cpu_ms"),
        None,
        "a stage that was not requested"
    );
}

#[test]
fn the_cache_stage_reports_its_time() {
    assert_positive(&figures(&[Stage::Cache]), &["cache_hit_ns"]);
}

#[test]
fn the_decode_stage_reports_its_times() {
    assert_positive(
        &figures(&[Stage::Decode]),
        &[
            "decode_cpu_ms",
            "canonical_cpu_ms",
            "engine_uncached_f32_cpu_ms",
            "decode_bound",
            "large_jpeg_cpu_ms",
            "large_jpeg_mb",
        ],
    );
}

#[test]
fn the_stream_stage_covers_every_transport() {
    let report = figures(&[Stage::Stream]);
    assert_positive(
        &report,
        &[
            "stream_f32_cpu_ms",
            "stream_u8_cpu_ms",
            "unix_f32_cpu_ms",
            "unix_u8_cpu_ms",
            "shared_f32_cpu_ms",
            "shared_u8_cpu_ms",
            "uncached_f32_cpu_ms",
            "uncached_u8_cpu_ms",
            "uncached_shared_f32_cpu_ms",
            "raw_tcp_f32_cpu_ms",
            "raw_tcp_u8_cpu_ms",
            "engine_f32_cpu_ms",
            "throughput_of_raw_tcp",
            "images_per_second",
        ],
    );
    // A difference of two timings of a few images may have either sign.
    assert!(report.figure("transport_of_raw_tcp").is_some());
}

#[test]
fn results_in_a_row_are_not_repeated() {
    let report = figures(&[Stage::Engine]);
    let text = report.to_string();
    assert!(
        text.contains("| engine f32 | ") && text.contains("| engine_scaling | "),
        "{text}"
    );
    assert!(!text.contains("engine_f32_cpu_ms"), "{text}");
}
