//! `server bench`, as a program.

use equibatch_tests::{images::ImageFolder, process::server};
use serde_json::{Map, Value};

/// The object that `server bench` prints with these options.
fn figures(options: &[&str]) -> Map<String, Value> {
    let output = server(&[&["bench", "--json", "--rounds", "1", "--seconds", "0"], options].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).expect("one object")
}

#[test]
fn ten_million_samples_are_planned_in_less_than_200_megabytes() {
    // In a process of its own, whose memory nobody else uses.
    let figures = figures(&["--only", "plan"]);
    let megabytes = figures["plan_10m_mb"].as_f64().expect("a number");
    // Ten million numbers of four bytes are there at least, or nothing was measured.
    assert!((40.0..200.0).contains(&megabytes), "{megabytes} MB");
    assert!(figures["plan_10m_batch_us"].as_f64() > Some(0.0));
}

#[test]
fn the_figures_that_other_programs_read_are_there() {
    let images = ImageFolder::new(&[("birds", 3), ("flowers", 8)]);
    let root = images.root().to_str().expect("a path");
    let figures = figures(&["--only", "engine,stream", "--data", &format!("pictures={root}")]);
    for name in [
        "engine_f32_cpu_ms",
        "engine_u8_cpu_ms",
        "stream_f32_cpu_ms",
        "stream_u8_cpu_ms",
        "shared_f32_cpu_ms",
        "uncached_f32_cpu_ms",
        "uncached_f32_images_per_second",
        "uncached_shared_f32_cpu_ms",
        "images_per_second",
    ] {
        assert!(
            figures[name].as_f64() > Some(0.0),
            "{name}: {:?}",
            figures.get(name)
        );
    }
    assert!(figures.contains_key("transport_of_raw_tcp"), "{figures:?}");
    assert!(!figures.contains_key("plan_10m_ms"), "a stage not asked for");
}

#[test]
fn senseless_options_are_refused() {
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
