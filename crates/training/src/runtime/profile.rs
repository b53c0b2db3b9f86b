//! Run time of a program by operator, from ONNX Runtime's profile.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;

use super::Error;

/// Time of all nodes of one operator.
#[derive(Clone, Debug, PartialEq)]
pub struct OperatorTime {
    /// Name of the operator; some custom operators share names with standard ones.
    pub operator: String,
    /// Nodes per run.
    pub nodes: f64,
    /// Milliseconds per run.
    pub milliseconds: f64,
}

/// An event of the profile.
#[derive(Deserialize)]
struct Event {
    cat: String,
    name: String,
    ts: u64,
    dur: u64,
    #[serde(default)]
    args: BTreeMap<String, serde_json::Value>,
}

/// Reads a profile, sorted by decreasing time. The first run, which allocates memory for the others, is not counted.
///
/// # Errors
///
/// [`Error::Read`] if the file cannot be read or is not a profile.
pub(super) fn read(path: &Path) -> Result<Vec<OperatorTime>, Error> {
    let failed = |source| Error::Read {
        path: path.to_path_buf(),
        source,
    };
    let text = fs::read_to_string(path).map_err(failed)?;
    average_by_operator(&text).map_err(|error| failed(error.into()))
}

fn average_by_operator(text: &str) -> serde_json::Result<Vec<OperatorTime>> {
    let events: Vec<Event> = serde_json::from_str(text)?;
    let runs = events.iter().filter(|event| event.name == "model_run");
    let mut starts: Vec<u64> = runs.map(|event| event.ts).collect();
    starts.sort_unstable();
    let start = starts.get(1).copied().unwrap_or(0);
    let runs = starts.len().saturating_sub(1).max(1) as f64;
    let mut operators: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for event in &events {
        if event.cat == "Node" && event.ts >= start && event.name.ends_with("_kernel_time") {
            let operator = event.args.get("op_name").and_then(serde_json::Value::as_str);
            let (nodes, time) = operators.entry(operator.unwrap_or("?")).or_default();
            *nodes += 1.0 / runs;
            *time += event.dur as f64 / 1e3 / runs;
        }
    }
    let times = operators
        .into_iter()
        .map(|(operator, (nodes, milliseconds))| OperatorTime {
            operator: operator.to_owned(),
            nodes,
            milliseconds,
        });
    let mut times: Vec<OperatorTime> = times.collect();
    times.sort_by(|left, right| right.milliseconds.total_cmp(&left.milliseconds));
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_after_the_first_are_averaged_by_operator() {
        let event = |cat: &str, name: &str, ts: u64, dur: u64, op: &str| {
            format!(r#"{{"cat":"{cat}","name":"{name}","ts":{ts},"dur":{dur},"args":{{"op_name":"{op}"}}}}"#)
        };
        let events = [
            event("Session", "model_run", 0, 100, ""),
            event("Node", "a_kernel_time", 10, 9000, "Conv"),
            event("Session", "model_run", 1000, 100, ""),
            event("Node", "a_kernel_time", 1010, 2000, "Conv"),
            event("Node", "b_kernel_time", 1020, 4000, "Conv"),
            event("Node", "c_kernel_time", 1030, 8000, "Relu"),
            event("Session", "model_run", 2000, 100, ""),
            event("Node", "a_kernel_time", 2010, 2000, "Conv"),
            event("Node", "b_kernel_time", 2020, 2000, "Conv"),
            event("Node", "c_fence_before", 2030, 7000, "Relu"),
        ];
        let time = |operator: &str, nodes, milliseconds| OperatorTime {
            operator: operator.to_owned(),
            nodes,
            milliseconds,
        };
        let found = average_by_operator(&format!("[{}]", events.join(","))).expect("JSON");
        assert_eq!(found, [time("Conv", 2.0, 5.0), time("Relu", 0.5, 4.0)]);
    }
}
