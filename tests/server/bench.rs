//! `server bench`.

use equibatch_harness::{images::ImageFolder, process::server};
use serde_json::{Map, Value};

/// The JSON object that `server bench` prints.
fn figures(options: &[&str]) -> Map<String, Value> {
    let output = server(&[&["bench", "--json", "--rounds", "1", "--seconds", "0"], options].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).expect("one object")
}

#[test]
fn ten_million_samples_are_planned_in_less_than_200_megabytes() {
    // In a process of its own, so that its memory is only the plan's.
    let figures = figures(&["--only", "plan"]);
    let megabytes = figures["plan_10m_mb"].as_f64().expect("a number");
    // At least ten million numbers of four bytes, or nothing was measured.
    assert!((40.0..200.0).contains(&megabytes), "{megabytes} MB");
    for name in ["plan_10m_ms", "plan_10m_batch_us", "plan_10m_epoch_us"] {
        assert!(figures[name].is_f64(), "{name}: {figures:?}");
    }
}

#[test]
fn the_json_output_has_the_documented_figures() {
    let images = ImageFolder::new(&[("birds", 3), ("flowers", 8)]);
    let root = images.root().to_str().expect("a path");
    let figures = figures(&["--only", "engine,stream", "--data", &format!("pictures={root}")]);
    let figure = |name: &str| {
        let value = figures.get(name).and_then(Value::as_f64);
        value.unwrap_or_else(|| panic!("no {name} in {figures:?}"))
    };
    // No more processors can be busy than there are; twice as many, because a container may report only a part.
    let processors = 2 * std::thread::available_parallelism().expect("a number").get();
    for name in [
        "engine_f32",
        "engine_u8",
        "stream_f32",
        "stream_u8",
        "shared_f32",
        "uncached_f32",
        "uncached_shared_f32",
        "raw_tcp_f32",
    ] {
        let [cost, rate] = ["cpu_ms", "images_per_second"].map(|what| figure(&format!("{name}_{what}")));
        let busy = cost / 1000.0 * rate;
        assert!(
            busy > 0.0 && busy <= processors as f64,
            "{name}: {busy} processors"
        );
    }
    // In one round, derived figures follow from the others.
    let beyond_batches = figure("stream_f32_cpu_ms") - figure("engine_f32_cpu_ms");
    let rate = figure("stream_f32_images_per_second");
    for (name, expected) in [
        (
            "transport_of_raw_tcp",
            figure("raw_tcp_f32_cpu_ms") / beyond_batches,
        ),
        (
            "throughput_of_raw_tcp",
            rate / figure("raw_tcp_f32_images_per_second"),
        ),
        ("images_per_second", rate),
    ] {
        let found = figure(name);
        assert!(
            (found - expected).abs() <= 1e-9 * expected.abs(),
            "{name} is {found}, not {expected}"
        );
    }
    assert!(!figures.contains_key("plan_10m_ms"), "a stage not asked for");
}

#[test]
fn invalid_options_are_refused() {
    for (options, expected) in [
        (&["--rounds", "0"][..], "--rounds"),
        (&["--seconds", "nan"], "--seconds"),
        (&["--only", "everything"], "--only"),
        (&["--data", "="], "--data"),
    ] {
        let output = server(&[&["bench"], options].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{errors}");
        assert!(errors.contains(expected), "{errors}");
    }
    let output = server(&["bench", "--only", "engine", "--data", "no/such/folder"]);
    assert_eq!(output.status.code(), Some(66));
}
