use super::array::Array;

pub(super) fn batch_normalization(operands: &[&Array], epsilon: f32) -> Array {
    let [x, scale, bias, mean, variance] = operands else {
        panic!("five operands")
    };
    Array::from_fn(&x.shape, |index| {
        let c = index[1];
        let deviation = (variance.data[c] + f64::from(epsilon)).sqrt();
        scale.data[c] * (x.at(index) - mean.data[c]) / deviation + bias.data[c]
    })
}

pub(super) fn softmax(x: &Array) -> Array {
    let mut result = log_softmax(x);
    result
        .data
        .iter_mut()
        .for_each(|element| *element = element.exp());
    result
}

pub(super) fn log_softmax(x: &Array) -> Array {
    let width = *x.shape.last().expect("an axis");
    let row = |row: &[f64]| {
        let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = row.iter().map(|element| (element - largest).exp()).sum();
        row.iter()
            .map(|element| element - largest - total.ln())
            .collect::<Vec<_>>()
    };
    Array::new(&x.shape, x.data.chunks(width).flat_map(row).collect())
}

pub(super) fn one_hot(labels: &Array, width: usize) -> Array {
    Array::from_fn(&[labels.data.len(), width], |index| {
        f64::from(u8::from(labels.data[index[0]] == index[1] as f64))
    })
}
