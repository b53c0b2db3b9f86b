use std::ffi::c_int;

use super::library::Status;

/// Most bytes of a workspace.
const MEMORY: usize = 512 << 20;

/// Algorithms that cuDNN is asked for: it has seven for gradients by weights and six for those by inputs, and may list each with two kinds of math.
pub(super) const COUNT: usize = 16;

/// An algorithm with its expected cost: `cudnnConvolutionBwdFilterAlgoPerf_t` and, with the same fields, `cudnnConvolutionBwdDataAlgoPerf_t`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Ranked {
    /// Number of the algorithm.
    pub(super) algorithm: c_int,
    /// 0 if it can be used.
    pub(super) status: Status,
    time: f32,
    /// Bytes of the workspace.
    pub(super) memory: usize,
    /// 1 if it always adds in the same order.
    determinism: c_int,
    /// Which instructions it uses.
    pub(super) math: c_int,
    reserved: [c_int; 3],
}

/// The first algorithm that gives the same bits each time, as a resumed training must, and whose workspace is not too large. cuDNN ranks algorithms
/// by a heuristic that depends on shapes and device alone; a search by measured times could choose another one each time.
pub(super) fn choose(ranked: &[Ranked]) -> Option<Ranked> {
    let is_usable =
        |ranked: &&Ranked| ranked.status == 0 && ranked.determinism == 1 && ranked.memory <= MEMORY;
    ranked.iter().find(is_usable).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_deterministic_algorithm_of_a_small_workspace_is_chosen() {
        let usable = Ranked {
            algorithm: 1,
            determinism: 1,
            memory: MEMORY,
            ..Ranked::default()
        };
        let list = [
            Ranked { status: 9, ..usable },
            Ranked {
                determinism: 0,
                ..usable
            },
            Ranked {
                memory: MEMORY + 1,
                ..usable
            },
            usable,
            Ranked {
                algorithm: 5,
                ..usable
            },
        ];
        assert_eq!(choose(&list), Some(usable));
        assert_eq!(choose(&list[..3]), None);
    }

    /// As a C compiler lays it out on 64-bit systems: four bytes of padding after the time, and four at the end.
    #[test]
    fn the_record_has_the_layout_of_the_header() {
        assert_eq!(size_of::<Ranked>(), 48);
        assert_eq!(std::mem::offset_of!(Ranked, memory), 16);
        assert_eq!(std::mem::offset_of!(Ranked, reserved), 32);
    }
}
