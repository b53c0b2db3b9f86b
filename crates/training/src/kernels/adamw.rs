//! AdamW update of one parameter in one pass.

use super::exec_context::ExecContext;
use super::instructions::Kernel;
use super::unsafe_slice::UnsafeSlice;
use super::vector::{LANES, Vector, load_first, store_first};

/// Scalars of one AdamW step, named as in `optim::AdamW`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWStep {
    /// β₁.
    pub beta1: f32,
    /// 1 − β₁.
    pub one_minus_beta1: f32,
    /// β₂.
    pub beta2: f32,
    /// 1 − β₂.
    pub one_minus_beta2: f32,
    /// 1/√c₂.
    pub scale2: f32,
    /// ε.
    pub epsilon: f32,
    /// 1 − lr·wd.
    pub decay: f32,
    /// lr/c₁.
    pub step: f32,
}

/// Elements per task.
const CHUNK: usize = 1 << 14;

/// Computes the next parameter and moments (`to`) from the gradient and parameter and moments (`from`; those of `None` are in `to`). Operations are not
/// fused and have the order of the standard ONNX operators, so that both give the same bits.
///
/// # Panics
/// If the lengths differ.
pub fn update(
    exec: &ExecContext<'_>,
    adamw_step: &AdamWStep,
    gradient: &[f32],
    from: [Option<&[f32]>; 3],
    to: [&mut [f32]; 3],
) {
    let length = gradient.len();
    assert!(from.iter().flatten().all(|operand| operand.len() == length));
    assert!(to.iter().all(|result| result.len() == length));
    let work = Update {
        adamw_step,
        gradient,
        from,
        to: to.map(UnsafeSlice::new),
        length,
    };
    exec.set.run(exec.pool, length.div_ceil(CHUNK), &work);
}

struct Update<'a> {
    adamw_step: &'a AdamWStep,
    gradient: &'a [f32],
    from: [Option<&'a [f32]>; 3],
    to: [UnsafeSlice<'a>; 3],
    length: usize,
}

impl Kernel for Update<'_> {
    #[inline(always)]
    unsafe fn task<V: Vector>(&self, number: usize) {
        let first = number * CHUNK;
        let last = (first + CHUNK).min(self.length);
        let whole = first + (last - first) / LANES * LANES;
        // SAFETY: the caller guarantees the instruction set and a chunk that exists. `update` found operands and results to be equally long,
        // `first..last` lies within them, vectors of memory within `first..whole`, and this task alone uses its chunk of the results, each vector of
        // which it reads, if at all, before it writes it.
        unsafe {
            let factors = Factors::<V>::of(self.adamw_step);
            let mut state = [std::ptr::null(); 3];
            for (state, (from, to)) in state.iter_mut().zip(self.from.iter().zip(&self.to)) {
                *state = match from {
                    Some(from) => from.as_ptr(),
                    None => to.at(0).cast_const(),
                };
            }
            for at in (first..whole).step_by(LANES) {
                let gradient = V::load(self.gradient.as_ptr().add(at));
                let mut before = [V::splat(0.0); 3];
                for (before, state) in before.iter_mut().zip(state) {
                    *before = V::load(state.add(at));
                }
                for (result, to) in factors.next(gradient, before).into_iter().zip(&self.to) {
                    result.store(to.at(at));
                }
            }
            let rest = last - whole;
            if rest > 0 {
                let gradient = load_first(&self.gradient[..last], whole);
                let mut before = [V::splat(0.0); 3];
                for (before, state) in before.iter_mut().zip(state) {
                    let state = std::slice::from_raw_parts(state.add(whole), rest);
                    *before = load_first(state, 0);
                }
                for (result, to) in factors.next(gradient, before).into_iter().zip(&self.to) {
                    store_first(result, to.at(whole), rest);
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Factors<V> {
    beta1: [V; 2],
    beta2: [V; 2],
    scale2: V,
    epsilon: V,
    decay: V,
    step: V,
}

impl<V: Vector> Factors<V> {
    /// # Safety
    /// The CPU supports the instruction set of `V`.
    #[inline(always)]
    unsafe fn of(adamw_step: &AdamWStep) -> Self {
        // SAFETY: the caller guarantees the instruction set, and nothing else is needed.
        unsafe {
            Self {
                beta1: [V::splat(adamw_step.beta1), V::splat(adamw_step.one_minus_beta1)],
                beta2: [V::splat(adamw_step.beta2), V::splat(adamw_step.one_minus_beta2)],
                scale2: V::splat(adamw_step.scale2),
                epsilon: V::splat(adamw_step.epsilon),
                decay: V::splat(adamw_step.decay),
                step: V::splat(adamw_step.step),
            }
        }
    }

    /// Next parameter and moments from parameter, gradient and moments.
    #[inline(always)]
    fn next(&self, g: V, [p, m, v]: [V; 3]) -> [V; 3] {
        let m = m.mul(self.beta1[0]).add(g.mul(self.beta1[1]));
        let v = v.mul(self.beta2[0]).add(g.mul(g).mul(self.beta2[1]));
        let denominator = v.sqrt().mul(self.scale2).add(self.epsilon);
        let change = m.div(denominator).mul(self.step);
        [p.mul(self.decay).sub(change), m, v]
    }
}
