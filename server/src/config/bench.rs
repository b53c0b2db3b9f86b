//! Conversion of the arguments of `bench`.

use std::num::NonZeroUsize;

use super::{Error, dataset, invalid, threads};
use crate::{args, bench};
use equibatch_engine::pipeline::EngineConfig;

impl TryFrom<&args::Bench> for bench::Options {
    type Error = Error;

    fn try_from(args: &args::Bench) -> Result<Self, Error> {
        let stage = |stage: &args::Stage| match stage {
            args::Stage::Plan => bench::Stage::Plan,
            args::Stage::Engine => bench::Stage::Engine,
            args::Stage::Cache => bench::Stage::Cache,
            args::Stage::Decode => bench::Stage::Decode,
            args::Stage::Stream => bench::Stage::Stream,
        };
        let only: Vec<_> = args.only.iter().map(stage).collect();
        if !(0.0..=3600.0).contains(&args.seconds) {
            return Err(invalid(
                "--seconds",
                &args.seconds,
                "expected a number from 0 to 3600",
            ));
        }
        let data = args.data.as_deref().map(dataset).transpose()?;
        Ok(Self {
            data: data.map(|data| data.root),
            stages: if only.is_empty() {
                bench::Stage::ALL.to_vec()
            } else {
                only
            },
            threads: threads(args.threads).unwrap_or(EngineConfig::default().threads),
            rounds: NonZeroUsize::new(args.rounds)
                .ok_or_else(|| invalid("--rounds", &args.rounds, "expected a whole number of at least 1"))?,
            seconds: args.seconds,
            size: bench::Size::default(),
        })
    }
}
