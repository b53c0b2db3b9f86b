//! Outlines: closed paths to fill and open paths to stroke, in the units of the shape.

use tiny_skia::{Path, PathBuilder, Rect};

use super::{Point, unit};

/// A path; `None` is a degenerate one, which draws nothing.
pub(crate) type Outline = Option<Path>;

/// A circle.
pub(crate) fn circle(centre: Point, radius: f32) -> Outline {
    PathBuilder::from_circle(centre.0, centre.1, radius)
}

/// An ellipse along the axes.
pub(crate) fn ellipse(centre: Point, half_width: f32, half_height: f32) -> Outline {
    let rect = Rect::from_ltrb(
        centre.0 - half_width,
        centre.1 - half_height,
        centre.0 + half_width,
        centre.1 + half_height,
    );
    PathBuilder::from_oval(rect?)
}

/// Straight lines from point to point and back to the first.
pub(crate) fn polygon(points: &[Point]) -> Outline {
    let mut builder = start(points)?;
    for point in &points[1..] {
        builder.line_to(point.0, point.1);
    }
    builder.close();
    builder.finish()
}

/// Straight lines from point to point.
pub(crate) fn lines(points: &[Point]) -> Outline {
    let mut builder = start(points)?;
    for point in &points[1..] {
        builder.line_to(point.0, point.1);
    }
    builder.finish()
}

/// A closed Catmull-Rom spline through all points.
pub(crate) fn blob(points: &[Point]) -> Outline {
    let mut builder = start(points)?;
    let n = points.len();
    for i in 0..n {
        arc(
            &mut builder,
            [
                points[(i + n - 1) % n],
                points[i],
                points[(i + 1) % n],
                points[(i + 2) % n],
            ],
        );
    }
    builder.close();
    builder.finish()
}

/// An open Catmull-Rom spline through all points.
pub(crate) fn curve(points: &[Point]) -> Outline {
    let mut builder = start(points)?;
    spline(&mut builder, points);
    builder.finish()
}

/// Adds a Catmull-Rom spline through all points; the path is at the first of them.
fn spline(builder: &mut PathBuilder, points: &[Point]) {
    let last = points.len() - 1;
    for i in 0..last {
        let (before, after) = (points[i.saturating_sub(1)], points[(i + 2).min(last)]);
        arc(builder, [before, points[i], points[i + 1], after]);
    }
}

/// A band along the points whose width changes linearly from `first` to `last`, with smooth edges.
pub(crate) fn ribbon(points: &[Point], first: f32, last: f32) -> Outline {
    let end = points.len().checked_sub(1).filter(|&end| end > 0)?;
    let side = |sign: f32| {
        move |i: usize| {
            let (before, after) = (points[i.saturating_sub(1)], points[(i + 1).min(end)]);
            let (dx, dy) = (after.0 - before.0, after.1 - before.1);
            let length = (dx * dx + dy * dy).sqrt().max(1e-6);
            let half = sign * 0.5 * (first + (last - first) * (i as f32 / end as f32));
            (points[i].0 - dy / length * half, points[i].1 + dx / length * half)
        }
    };
    let edge: Vec<Point> = (0..=end)
        .map(side(1.0))
        .chain((0..=end).rev().map(side(-1.0)))
        .collect();
    let mut builder = start(&edge)?;
    for row in [&edge[..=end], &edge[end + 1..]] {
        builder.line_to(row[0].0, row[0].1);
        spline(&mut builder, row);
    }
    builder.close();
    builder.finish()
}

/// A leaf from the origin to (1, 0); its largest width is `width`, at `belly` of its length.
pub(crate) fn leaf(width: f32, belly: f32) -> Outline {
    let mut builder = PathBuilder::new();
    builder.move_to(0.0, 0.0);
    builder.cubic_to(belly * 0.5, -width * 0.7, belly + 0.25, -width * 0.6, 1.0, 0.0);
    builder.cubic_to(belly + 0.25, width * 0.6, belly * 0.5, width * 0.7, 0.0, 0.0);
    builder.close();
    builder.finish()
}

/// A closed spline around the origin through `n` points at radius `radius(turns)`.
pub(crate) fn around(n: usize, mut radius: impl FnMut(f32) -> f32) -> Outline {
    let points: Vec<Point> = (0..n)
        .map(|i| {
            let turns = i as f32 / n as f32;
            let ((cos, sin), length) = (unit(turns), radius(turns));
            (cos * length, sin * length)
        })
        .collect();
    blob(&points)
}

fn start(points: &[Point]) -> Option<PathBuilder> {
    let first = points.first()?;
    let mut builder = PathBuilder::new();
    builder.move_to(first.0, first.1);
    Some(builder)
}

/// The segment of a Catmull-Rom spline between the two middle points.
fn arc(builder: &mut PathBuilder, [a, b, c, d]: [Point; 4]) {
    const SIXTH: f32 = 1.0 / 6.0;
    builder.cubic_to(
        b.0 + (c.0 - a.0) * SIXTH,
        b.1 + (c.1 - a.1) * SIXTH,
        c.0 - (d.0 - b.0) * SIXTH,
        c.1 - (d.1 - b.1) * SIXTH,
        c.0,
        c.1,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ribbon_keeps_its_width() {
        let bounds = ribbon(&[(0.0, 0.0), (1.0, 0.0), (2.0, 0.0)], 0.4, 0.4)
            .expect("has extent")
            .bounds();
        assert!(
            (bounds.height() - 0.4).abs() < 1e-3 && (bounds.width() - 2.0).abs() < 1e-3,
            "{bounds:?}"
        );
    }

    #[test]
    fn outlines_without_extent_are_none() {
        assert!(blob(&[]).is_none() && polygon(&[]).is_none() && curve(&[]).is_none());
        assert!(ribbon(&[(1.0, 1.0)], 1.0, 1.0).is_none());
    }
}
