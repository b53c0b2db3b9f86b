//! Frozen layer groups: only the gradients that their batch norms need are computed.

use equibatch_training::graph::{Composite, Graph, Op};
use equibatch_training::nn::Backbone;
use equibatch_training::program::{
    Head, ModelSpec, ResNet, Role, Signature, TrainSpec, parts_graphs, train_graph,
};

fn spec(head: Head, frozen_groups: usize) -> TrainSpec {
    let backbone = Backbone {
        width: 4,
        ..Backbone::RESNET18
    };
    let model = ModelSpec::ResNet(ResNet {
        head,
        image_size: 64,
        ..ResNet::new(backbone, 3)
    });
    TrainSpec::new(model, 4).freeze_layers(frozen_groups)
}

fn compiled(head: Head, frozen_groups: usize) -> (Graph, Signature) {
    train_graph(&spec(head, frozen_groups)).expect("a valid step")
}

fn count(graph: &Graph, is_meant: fn(&Composite) -> bool) -> usize {
    let composites = graph.nodes().iter().filter_map(|node| match &node.op {
        Op::Composite(composite) => Some(composite),
        _ => None,
    });
    composites.filter(|composite| is_meant(composite)).count()
}

fn weight_gradients(graph: &Graph) -> usize {
    count(graph, |composite| {
        matches!(composite, Composite::ConvWeightGradient { .. })
    })
}

fn input_gradients(graph: &Graph) -> usize {
    count(graph, |composite| {
        matches!(composite, Composite::ConvInputGradient { .. })
    })
}

#[test]
fn frozen_convolutions_have_no_gradient_no_moments_and_no_next_value() {
    for head in [Head::default(), Head::Plain] {
        let (graph, signature) = compiled(head, 2);
        assert_eq!(weight_gradients(&graph), 0, "{head}");
        // The first batch norm follows the first convolution, and its gradient passes through all others.
        assert_eq!(input_gradients(&graph), 19, "{head}");
        let convolutions: Vec<_> = signature
            .state
            .iter()
            .filter(|pair| pair.shape.len() == 4)
            .collect();
        assert_eq!(convolutions.len(), 20, "{head}: unchanged, and without moments");
        for pair in convolutions {
            assert_eq!(
                (pair.role, &pair.output),
                (Role::Parameter, &None),
                "{}",
                pair.name
            );
        }
        let moments = signature
            .state
            .iter()
            .filter(|pair| pair.name.starts_with("first_moment."));
        let of_head = if head == Head::Plain { 2 } else { 2 * 2 + 2 * 2 };
        assert_eq!(moments.count(), 20 * 2 + of_head, "{head}");
    }
}

#[test]
fn layer_groups_are_frozen_from_the_first() {
    let gradients = [0, 1, 2].map(|groups| weight_gradients(&compiled(Head::default(), groups).0));
    // The stem, two stages of four and a projection; two stages of four and a projection each.
    assert_eq!(gradients, [20, 10, 0]);
}

/// What a step changes of the body, with gradient accumulation, too.
#[test]
fn frozen_norms_use_and_keep_their_running_statistics() {
    for frozen_groups in [0, 2] {
        let spec = spec(Head::default(), frozen_groups).freeze_norms();
        let (graph, signature) = train_graph(&spec).expect("a valid step");
        let inference = graph
            .nodes()
            .iter()
            .filter(|node| matches!(node.op, Op::BatchNormalization(_)));
        assert_eq!(inference.count(), 20, "the body of a ResNet18 has 20 batch norms");
        let parts = parts_graphs(&spec).expect("valid programs");
        let signatures = [&signature]
            .into_iter()
            .chain(parts.iter().map(|(_, signature)| signature));
        for state in signatures.flat_map(|signature| &signature.state) {
            let is_of_body = !state.name.starts_with("head.");
            let is_norm = state.name.contains("bn") || state.name.contains("downsample.1");
            let is_trained =
                state.output.is_some() && matches!(state.role, Role::Parameter | Role::Statistic);
            assert!(!(is_of_body && is_norm && is_trained), "{} changes", state.name);
        }
        let head = signature
            .state
            .iter()
            .filter(|state| state.name.starts_with("head.") && state.role == Role::Statistic);
        assert!(
            head.clone().count() > 0 && head.clone().all(|state| state.output.is_some()),
            "those of the head are trained"
        );
    }
}
