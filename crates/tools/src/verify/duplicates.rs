//! Groups of identical and similar images.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    file_report::FileReport,
    hamming_index,
    perceptual_hash::PerceptualHash,
    report::{DuplicateGroup, Finding, FindingKind, Member},
};
use equibatch_engine::dataset::{Dataset, Sample, Split};

/// Groups the samples of `dataset` by content, and if `near` is given also by similarity within that Hamming distance. `reports` are those of the samples.
pub(super) fn groups(
    dataset: &Dataset,
    reports: &[Result<FileReport, Finding>],
    near: Option<u32>,
) -> Vec<DuplicateGroup> {
    let mut by_content: BTreeMap<[u8; 32], Vec<usize>> = BTreeMap::new();
    for (id, report) in reports.iter().enumerate() {
        if let Ok(report) = report {
            by_content.entry(report.hash).or_default().push(id);
        }
    }
    let mut groups: Vec<DuplicateGroup> = by_content
        .values()
        .filter(|ids| ids.len() > 1)
        .map(|ids| group(dataset, FindingKind::Duplicate, ids))
        .collect();
    if let Some(distance) = near {
        // One image of each content. Blank images are left out, since they all look the same.
        let contents: Vec<(&FileReport, &Vec<usize>)> = by_content
            .values()
            .filter_map(|ids| Some((reports[ids[0]].as_ref().ok()?, ids)))
            .filter(|(report, _)| !report.blank)
            .collect();
        let candidates: Vec<&PerceptualHash> = contents
            .iter()
            .map(|(report, _)| &report.perceptual_hash)
            .collect();
        for similar in similar_sets(&candidates, distance) {
            let ids: Vec<usize> = similar
                .iter()
                .flat_map(|&content| contents[content].1.clone())
                .collect();
            groups.push(group(dataset, FindingKind::Near, &ids));
        }
    }
    groups.sort_by(|a, b| (a.kind, &a.members[0].path).cmp(&(b.kind, &b.members[0].path)));
    groups
}

fn group(dataset: &Dataset, kind: FindingKind, ids: &[usize]) -> DuplicateGroup {
    let mut samples: Vec<&Sample> = ids.iter().map(|&id| &dataset.samples[id]).collect();
    samples.sort_by_key(|sample| (std::cmp::Reverse(sample.split), &sample.path));
    let splits: BTreeSet<Split> = samples.iter().map(|sample| sample.split).collect();
    let classes: BTreeSet<u32> = samples.iter().map(|sample| sample.class).collect();
    let member = |sample: &&Sample| Member {
        path: sample.path.to_string(),
        class: dataset.classes[sample.class as usize].clone(),
        split: sample.split,
    };
    DuplicateGroup {
        kind,
        leak: splits.len() > 1,
        conflict: classes.len() > 1,
        members: samples.iter().map(member).collect(),
    }
}

/// Sets of at least two indices, connected by pairwise similarity (single linkage).
fn similar_sets(candidates: &[&PerceptualHash], distance: u32) -> Vec<Vec<usize>> {
    let mut sets = Sets::new(candidates.len());
    // Among equal hashes, dissimilar images each get a leader of their own.
    let mut leaders: HashMap<u64, Vec<usize>> = HashMap::new();
    for (at, perceptual_hash) in candidates.iter().enumerate() {
        let leaders = leaders.entry(perceptual_hash.hash).or_default();
        match leaders
            .iter()
            .find(|&&leader| candidates[leader].is_similar_to(perceptual_hash))
        {
            Some(&leader) => sets.join(leader, at),
            None => leaders.push(at),
        }
    }
    let hashes: Vec<u64> = leaders.keys().copied().collect();
    for (a, b) in hamming_index::pairs_within(&hashes, distance) {
        for &first in &leaders[&hashes[a as usize]] {
            for &second in &leaders[&hashes[b as usize]] {
                if candidates[first].is_similar_to(candidates[second]) {
                    sets.join(first, second);
                }
            }
        }
    }
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for at in 0..candidates.len() {
        members.entry(sets.root(at)).or_default().push(at);
    }
    members.into_values().filter(|set| set.len() > 1).collect()
}

/// Disjoint-set forest (union-find) over indices.
struct Sets {
    parents: Vec<usize>,
}

impl Sets {
    fn new(count: usize) -> Self {
        Self {
            parents: (0..count).collect(),
        }
    }

    fn root(&mut self, mut at: usize) -> usize {
        while self.parents[at] != at {
            self.parents[at] = self.parents[self.parents[at]];
            at = self.parents[at];
        }
        at
    }

    /// The smaller root becomes the parent, so that the result does not depend on the order of unions.
    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parents[a.max(b)] = a.min(b);
    }
}
