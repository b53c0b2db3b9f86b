//! Downsampling of curves for drawing.

/// About `most` points at most, in order: of each interval the first, lowest, highest and last, so that peaks are kept.
pub(super) fn downsampled(points: &[(f64, f64)], most: usize) -> Vec<(f64, f64)> {
    if points.len() <= most {
        return points.to_vec();
    }
    let stretch = points.len().div_ceil((most / 4).max(1));
    points.chunks(stretch).flat_map(landmarks).collect()
}

fn landmarks(stretch: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let by_height = |&left: &usize, &right: &usize| stretch[left].1.total_cmp(&stretch[right].1);
    let lowest = (0..stretch.len()).min_by(by_height).unwrap_or(0);
    let highest = (0..stretch.len()).max_by(by_height).unwrap_or(0);
    let mut kept = vec![0, lowest, highest, stretch.len() - 1];
    kept.sort_unstable();
    kept.dedup();
    kept.into_iter().map(|index| stretch[index]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_and_peaks_are_kept() {
        let mut points: Vec<(f64, f64)> = (0..100_000).map(|step| (f64::from(step), 1.0)).collect();
        points[71_234].1 = 9.0;
        points[3].1 = -5.0;
        let few = downsampled(&points, 1000);
        assert!((500..=1000).contains(&few.len()), "{}", few.len());
        assert_eq!((few[0], few[few.len() - 1]), (points[0], points[99_999]));
        assert!(few.contains(&(71_234.0, 9.0)) && few.contains(&(3.0, -5.0)));
        assert!(few.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn few_points_are_unchanged() {
        let points = [(0.0, 1.0), (1.0, f64::NAN)];
        assert_eq!(downsampled(&points, 2).len(), 2);
        assert_eq!(downsampled(&[], 2), []);
    }
}
