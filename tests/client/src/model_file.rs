//! Builds ONNX files of given nodes and tensors, in the messages of `onnx.proto3`.

use prost::Message;

/// A model of operator set 18 with input `pixels: f32[n, 3, size, size]` and output `scores`.
#[derive(Clone, Debug)]
pub struct ModelFile {
    nodes: Vec<Node>,
    tensors: Vec<Tensor>,
    size: i64,
}

/// An attribute of a node.
#[derive(Clone, Debug)]
pub enum Attribute<'a> {
    /// A whole number.
    Int(&'a str, i64),
    /// Whole numbers.
    Ints(&'a str, &'a [i64]),
    /// A number.
    Float(&'a str, f32),
    /// Text.
    Text(&'a str, &'a str),
    /// A tensor of one whole number.
    Number(&'a str, i64),
}

impl ModelFile {
    /// A model without nodes, for images of `size` x `size` pixels.
    #[must_use]
    pub fn new(size: i64) -> Self {
        Self {
            nodes: vec![],
            tensors: vec![],
            size,
        }
    }

    /// Adds a node, named as its first output.
    #[must_use]
    pub fn node(
        mut self,
        operator: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: &[Attribute<'_>],
    ) -> Self {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        self.nodes.push(Node {
            input: names(inputs),
            output: names(outputs),
            name: outputs[0].to_owned(),
            operator: operator.to_owned(),
            attribute: attributes.iter().map(message).collect(),
        });
        self
    }

    /// Adds a tensor of floats.
    #[must_use]
    pub fn floats(mut self, name: &str, dims: &[i64], data: Vec<f32>) -> Self {
        self.tensors.push(Tensor {
            dims: dims.to_vec(),
            data_type: 1,
            float_data: data,
            int64_data: vec![],
            name: name.to_owned(),
        });
        self
    }

    /// Adds a tensor of floats that differ from one another, between -1 and 1.
    #[must_use]
    pub fn weights(self, name: &str, dims: &[i64]) -> Self {
        let count: i64 = dims.iter().product();
        // Fractional parts of multiples of the golden ratio.
        let number = |place: i64| ((place + 1) as f64 * 0.618_033_988_749_895).fract() as f32;
        self.floats(
            name,
            dims,
            (0..count).map(|place| 2.0 * number(place) - 1.0).collect(),
        )
    }

    /// Adds a list of whole numbers.
    #[must_use]
    pub fn integers(mut self, name: &str, numbers: &[i64]) -> Self {
        self.tensors
            .push(integers(name, &[numbers.len() as i64], numbers));
        self
    }

    /// The bytes of the file.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let extent = |value: Option<i64>, name: &str| Extent {
            value: value.unwrap_or_default(),
            name: name.to_owned(),
        };
        let declared = |name: &str, dim: Vec<Extent>| Declaration {
            name: name.to_owned(),
            r#type: Some(Type {
                tensor: Some(TensorType {
                    element: 1,
                    shape: Some(Shape { dim }),
                }),
            }),
        };
        let sizes = [3, self.size, self.size].map(|size| extent(Some(size), ""));
        let images = [extent(None, "n")].into_iter().chain(sizes).collect();
        let graph = Graph {
            node: self.nodes.clone(),
            name: "test".to_owned(),
            initializer: self.tensors.clone(),
            input: vec![declared("pixels", images)],
            output: vec![declared("scores", vec![])],
        };
        let opset = Opset { version: 18 };
        let model = Model {
            ir_version: 8,
            graph: Some(graph),
            opset: vec![opset],
        };
        model.encode_to_vec()
    }
}

fn integers(name: &str, dims: &[i64], numbers: &[i64]) -> Tensor {
    Tensor {
        dims: dims.to_vec(),
        data_type: 7,
        float_data: vec![],
        int64_data: numbers.to_vec(),
        name: name.to_owned(),
    }
}

fn message(attribute: &Attribute<'_>) -> AttributeMessage {
    let empty = AttributeMessage::default();
    match *attribute {
        Attribute::Int(name, i) => AttributeMessage {
            name: name.to_owned(),
            i,
            r#type: 2,
            ..empty
        },
        Attribute::Ints(name, ints) => AttributeMessage {
            name: name.to_owned(),
            ints: ints.to_vec(),
            r#type: 7,
            ..empty
        },
        Attribute::Float(name, f) => AttributeMessage {
            name: name.to_owned(),
            f,
            r#type: 1,
            ..empty
        },
        Attribute::Text(name, text) => AttributeMessage {
            name: name.to_owned(),
            s: text.as_bytes().to_vec(),
            r#type: 3,
            ..empty
        },
        Attribute::Number(name, number) => AttributeMessage {
            name: name.to_owned(),
            t: Some(integers("", &[1], &[number])),
            r#type: 4,
            ..empty
        },
    }
}

#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    opset: Vec<Opset>,
}

#[derive(Clone, PartialEq, Message)]
struct Opset {
    #[prost(int64, tag = "2")]
    version: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "1")]
    node: Vec<Node>,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<Declaration>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<Declaration>,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    operator: String,
    #[prost(message, repeated, tag = "5")]
    attribute: Vec<AttributeMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct AttributeMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(float, tag = "2")]
    f: f32,
    #[prost(int64, tag = "3")]
    i: i64,
    #[prost(bytes = "vec", tag = "4")]
    s: Vec<u8>,
    #[prost(message, optional, tag = "5")]
    t: Option<Tensor>,
    #[prost(int64, repeated, tag = "8")]
    ints: Vec<i64>,
    #[prost(int32, tag = "20")]
    r#type: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Tensor {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(float, repeated, tag = "4")]
    float_data: Vec<f32>,
    #[prost(int64, repeated, tag = "7")]
    int64_data: Vec<i64>,
    #[prost(string, tag = "8")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Declaration {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    r#type: Option<Type>,
}

#[derive(Clone, PartialEq, Message)]
struct Type {
    #[prost(message, optional, tag = "1")]
    tensor: Option<TensorType>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorType {
    #[prost(int32, tag = "1")]
    element: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Shape>,
}

#[derive(Clone, PartialEq, Message)]
struct Shape {
    #[prost(message, repeated, tag = "1")]
    dim: Vec<Extent>,
}

/// A dimension of a shape: symbolic if it has a name, otherwise a number.
#[derive(Clone, PartialEq, Message)]
struct Extent {
    #[prost(int64, tag = "1")]
    value: i64,
    #[prost(string, tag = "2")]
    name: String,
}
