use crate::graph::{Graph, Value};

/// The values on a path from one of the requested values to the loss.
pub(super) struct Liveness(Vec<bool>);

impl Liveness {
    /// Ancestors of `loss` (inclusive) that are descendants of one of `wrt` (inclusive).
    pub(super) fn new(graph: &Graph, loss: Value, wrt: &[Value]) -> Self {
        let mut descends = vec![false; graph.values().len()];
        for value in wrt {
            descends[value.index()] = true;
        }
        for node in graph.nodes() {
            if node.inputs.iter().any(|input| descends[input.index()]) {
                node.outputs().for_each(|output| descends[output.index()] = true);
            }
        }
        let mut precedes = vec![false; graph.values().len()];
        precedes[loss.index()] = true;
        for node in graph.nodes().iter().rev() {
            if node.outputs().any(|output| precedes[output.index()]) {
                node.inputs
                    .iter()
                    .for_each(|input| precedes[input.index()] = true);
            }
        }
        Self(
            descends
                .into_iter()
                .zip(precedes)
                .map(|(descends, precedes)| descends && precedes)
                .collect(),
        )
    }

    /// Whether the gradient of `value` is needed; `false` for values added after the analysis.
    pub(super) fn contains(&self, value: Value) -> bool {
        self.0.get(value.index()).copied().unwrap_or(false)
    }
}
