//! TensorBoard's event files against those of its own writer: see `generate/events.py`.

use equibatch_harness::checkout;

use equibatch_client::learn::tensorboard::events::EventWriter;
use serde_json::Value;

#[test]
fn event_files_equal_tensorboards_own() {
    let path = checkout::fixture("events.json");
    let fixture: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut file = vec![];
    let (started, first) = (
        fixture["started"].as_f64().unwrap(),
        fixture["first_step"].as_u64().unwrap(),
    );
    let mut writer = EventWriter::new(&mut file, started, first).unwrap();
    for point in fixture["points"].as_array().unwrap() {
        let values = point[2].as_object().unwrap().iter();
        let mut values: Vec<(&str, f64)> = values
            .map(|(tag, value)| (tag.as_str(), value.as_f64().unwrap()))
            .collect();
        // The step counter at which the fixture was written; its JSON does not contain it.
        values.sort_by_key(|(tag, _)| !tag.starts_with("train"));
        writer
            .scalars(point[0].as_f64().unwrap(), point[1].as_u64().unwrap(), &values)
            .unwrap();
    }
    let found: String = file.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(found, fixture["file"].as_str().unwrap());
}
