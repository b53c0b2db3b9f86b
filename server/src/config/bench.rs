//! Conversion of the arguments of `bench`.

use clap::ValueEnum as _;

use super::{
    dataset::dataset,
    error::{Error, invalid},
    number::threads,
};
use crate::{args, bench};
use equibatch_engine::pipeline::EngineConfig;

impl TryFrom<&args::Bench> for bench::Options {
    type Error = Error;

    fn try_from(args: &args::Bench) -> Result<Self, Error> {
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
            stages: if args.only.is_empty() {
                bench::Stage::value_variants().to_vec()
            } else {
                args.only.clone()
            },
            threads: threads(args.threads).unwrap_or(EngineConfig::default().threads),
            rounds: args.rounds,
            seconds: args.seconds,
            size: bench::Size::default(),
        })
    }
}
