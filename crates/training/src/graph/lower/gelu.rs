//! GELU by the error function.

use crate::graph::{Error, Graph, Value};

/// `x/2·(1 + erf(x/√2))`.
pub(super) fn forward(g: &mut Graph, x: Value) -> Result<Value, Error> {
    let (half, share) = (g.scalar(0.5), twice_below(g, x)?);
    let halved = g.mul(x, half)?;
    g.mul(halved, share)
}

/// `2·Φ(x) = 1 + erf(x/√2)`.
fn twice_below(g: &mut Graph, x: Value) -> Result<Value, Error> {
    let (factor, one) = (g.scalar(std::f32::consts::FRAC_1_SQRT_2), g.scalar(1.0));
    let argument = g.mul(x, factor)?;
    let bent = g.erf(argument)?;
    g.add(bent, one)
}

/// `dx = dy·(Φ(x) + x·e^(−x²/2)/√(2π))`.
pub(super) fn backward(g: &mut Graph, x: Value, dy: Value) -> Result<Value, Error> {
    let [half, minus_half, density] = [0.5, -0.5, 0.398_942_3].map(|number| g.scalar(number));
    let twice = twice_below(g, x)?;
    let below = g.mul(twice, half)?;
    let square = g.mul(x, x)?;
    let exponent = g.mul(square, minus_half)?;
    let bell = g.exp(exponent)?;
    let scaled = g.mul(x, density)?;
    let product = g.mul(scaled, bell)?;
    let slope = g.add(below, product)?;
    g.mul(dy, slope)
}
