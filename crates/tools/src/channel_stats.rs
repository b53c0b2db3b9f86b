//! Mean and standard deviation of each channel.

use equibatch_engine::image::Image;

/// First and second raw moments of red, green and blue, in `[0, 1]` units.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ChannelStats {
    mean_value: [f64; 3],
    mean_square: [f64; 3],
}

impl ChannelStats {
    /// Statistics of all pixels of `image`.
    #[must_use]
    pub fn of(image: &Image) -> Self {
        let (mut mean_value, mut mean_square) = ([0_u64; 3], [0_u64; 3]);
        for pixel in image.pixels().chunks_exact(Image::CHANNELS) {
            for channel in 0..3 {
                let value = u64::from(pixel[channel]);
                mean_value[channel] += value;
                mean_square[channel] += value * value;
            }
        }
        let pixels = f64::from(image.width()) * f64::from(image.height());
        Self {
            mean_value: mean_value.map(|sum| sum as f64 / pixels / 255.0),
            mean_square: mean_square.map(|sum| sum as f64 / pixels / (255.0 * 255.0)),
        }
    }

    /// Weighted mean of several; zero if no weight is positive.
    #[must_use]
    pub fn mean_of(parts: impl IntoIterator<Item = (f64, Self)>) -> Self {
        let (mut sum, mut total) = (Self::default(), 0.0);
        for (weight, part) in parts {
            total += weight;
            for channel in 0..3 {
                sum.mean_value[channel] += weight * part.mean_value[channel];
                sum.mean_square[channel] += weight * part.mean_square[channel];
            }
        }
        if total > 0.0 {
            Self {
                mean_value: sum.mean_value.map(|sum| sum / total),
                mean_square: sum.mean_square.map(|sum| sum / total),
            }
        } else {
            Self::default()
        }
    }

    /// Mean of each channel.
    #[must_use]
    pub fn mean(&self) -> [f64; 3] {
        self.mean_value
    }

    /// Population standard deviation of each channel.
    #[must_use]
    pub fn std(&self) -> [f64; 3] {
        // Rounding can make a variance of 0 slightly negative.
        [0, 1, 2].map(|channel| {
            (self.mean_square[channel] - self.mean_value[channel] * self.mean_value[channel])
                .max(0.0)
                .sqrt()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_std_follow_their_definition() {
        let image = Image::new(2, 1, vec![0, 51, 255, 255, 51, 255]);
        let channel_stats = ChannelStats::of(&image);
        assert_eq!(channel_stats.mean(), [0.5, 0.2, 1.0]);
        assert_eq!(channel_stats.std(), [0.5, 0.0, 0.0]);
    }

    #[test]
    fn images_are_weighted_regardless_of_their_pixels() {
        let black = ChannelStats::of(&Image::new(1, 1, vec![0; 3]));
        let white = ChannelStats::of(&Image::new(10, 10, vec![255; 300]));
        let both = ChannelStats::mean_of([(3.0, black), (1.0, white)]);
        assert_eq!(both.mean(), [0.25; 3]);
        assert_eq!(both.std(), [(0.25_f64 - 0.0625).sqrt(); 3]);
        assert_eq!(ChannelStats::mean_of([]), ChannelStats::default());
    }
}
