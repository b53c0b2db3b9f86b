//! Cache of decoded images with planned admission.
//!
//! 1. **The budget is hard.** Resident images never exceed it; room is reserved before an image is admitted. (An evicted image that is in use
//!    lives until that ends; such images are bounded by the number of worker threads.)
//! 2. **Admission is planned; there is no recency.** In shuffled epochs every image is used again, so that replacing one by another saves nothing.
//!    Each stream [registers](Cache::register) how often an epoch draws each image and how large it is; the images with most draws per byte that
//!    fit are admitted whenever they come. So a rare class, drawn ten times an epoch, comes before all others, and the resident set does not
//!    depend on the order of arrival. Only a new plan evicts, and only images that it has no room for. Plans are computed outside the locks of
//!    the cache, which meanwhile uses the old one, from one [`Catalog`] for all streams that draw from the same images.
//! 3. **Single-flight.** Concurrent requests for an image wait for one decode.
//!
//! Images outside every plan are admitted if the plan leaves room.
//!
//! [`Encoded`] files have a second cache of the same kind, with its own budget and plan: for the images that the first has no room for, which are
//! decoded each time but read once.
//!
//! # Source
//!
//! No eviction: MinIO, in Mohan et al., Analyzing and Mitigating Data Stalls in DNN Training, VLDB 2021.

mod admission;
mod demand;
mod encoded;
mod in_flight;
mod plan;
mod store;

pub use demand::{CatalogId, Key, StreamDemand};
pub use encoded::Encoded;
pub use plan::{Catalog, Plan};
pub use store::{Cache, DemandGuard, Resident, Stats};
