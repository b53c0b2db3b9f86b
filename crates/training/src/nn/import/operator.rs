use super::Error;
use super::importer::Importer;
use super::node::node_error;
use crate::graph::Value;
use crate::graph::import::ModelNode;

type Translate<T> = fn(&mut Importer<'_, '_>, &ModelNode) -> Result<T, Error>;

/// How the nodes of one ONNX operator are imported.
///
/// A translation composes operators of [`Graph`](crate::graph::Graph), which have shape inference, a gradient and an ONNX encoding. So an
/// operator that can be composed is complete with one of these, in a file of [`operators`](super::operators).
#[derive(Clone, Copy)]
pub(super) struct Operator {
    pub(super) name: &'static str,
    /// The supported attributes; any other is an error.
    attributes: &'static [&'static str],
    import: Import,
    /// Whether it may stand between the linear layers of a classification head.
    pub(super) is_elementwise: bool,
}

#[derive(Clone, Copy)]
enum Import {
    /// Its output is another name of its operand.
    Alias,
    /// Supported in constant folding only.
    Folded,
    One(Translate<Value>),
    Several(Translate<Vec<Value>>),
}

impl Operator {
    /// An operator with one output.
    pub(super) const fn new(
        name: &'static str,
        attributes: &'static [&'static str],
        translate: Translate<Value>,
    ) -> Self {
        Self::with(name, attributes, Import::One(translate))
    }

    /// An operator with several outputs.
    pub(super) const fn several(
        name: &'static str,
        attributes: &'static [&'static str],
        translate: Translate<Vec<Value>>,
    ) -> Self {
        Self::with(name, attributes, Import::Several(translate))
    }

    /// An operator whose output is its operand.
    pub(super) const fn alias(name: &'static str) -> Self {
        Self::with(name, &[], Import::Alias).elementwise()
    }

    /// An operator that [`fold`](super::fold) alone supports.
    pub(super) const fn folded(name: &'static str) -> Self {
        Self::with(name, &[], Import::Folded)
    }

    const fn with(name: &'static str, attributes: &'static [&'static str], import: Import) -> Self {
        Self {
            name,
            attributes,
            import,
            is_elementwise: false,
        }
    }

    /// The operator, marked as elementwise.
    pub(super) const fn elementwise(self) -> Self {
        Self {
            is_elementwise: true,
            ..self
        }
    }

    pub(super) fn is_alias(&self) -> bool {
        matches!(self.import, Import::Alias)
    }

    pub(super) fn is_folded(&self) -> bool {
        matches!(self.import, Import::Folded)
    }

    /// Translates a node; returns the outputs that other nodes may read.
    pub(super) fn translate(
        &self,
        importer: &mut Importer<'_, '_>,
        node: &ModelNode,
    ) -> Result<Vec<Value>, Error> {
        let unknown = |name: &&str| !self.attributes.contains(name);
        match (self.import, node.attributes.names().find(unknown)) {
            (Import::Folded, _) => Err(node_error(node, "its operands are not constant")),
            (_, Some(name)) => Err(node_error(
                node,
                format!("its attribute `{name}` is not supported"),
            )),
            (Import::Alias, None) => Ok(vec![importer.value(node, 0)?]),
            (Import::One(translate), None) => Ok(vec![translate(importer, node)?]),
            (Import::Several(translate), None) => translate(importer, node),
        }
    }
}
