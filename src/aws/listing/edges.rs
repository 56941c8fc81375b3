//! Where a list is cut: what its pages have shown of creation dates decides. Pure.

use super::window::Window;

/// Members of a page whose dates are kept.
const SAMPLE: usize = 256;
/// Seconds around an edge in which nothing was seen: what lies near an edge is listed twice.
const CLEAR: i64 = 3;
/// The shortest window, in seconds.
const LEAST: i64 = 4 * CLEAR;
/// The first guess at what lies outside of a list that has shown one moment only.
const HOUR: i64 = 3600;
/// By how much parts of a window without a beginning grow.
const GROWTH: i64 = 4;
/// No edge is older than 1970.
const OLDEST: i64 = 0;

/// Creation dates on the pages of one query, in seconds.
#[derive(Debug, Default)]
pub(super) struct Sight {
    /// The first and the last of each page.
    pages: Vec<(i64, i64)>,
    /// Some of them.
    sample: Vec<i64>,
}

/// A side on which a list by date goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Older,
    Newer,
}

impl Sight {
    /// One page more.
    pub(super) fn add(&mut self, page: &[i64]) {
        if let (Some(first), Some(last)) = (page.iter().min(), page.iter().max()) {
            self.pages.push((*first, *last));
            self.sample
                .extend(page.iter().step_by(page.len().div_ceil(SAMPLE)));
        }
    }

    /// The first and the last second of all.
    fn hull(&self) -> Option<(i64, i64)> {
        let first = self.pages.iter().map(|(first, _)| *first).min()?;
        let last = self.pages.iter().map(|(_, last)| *last).max()?;
        Some((first, last))
    }

    /// Where the list goes on if it comes in the order of dates, as its pages then lie side by side.
    /// What was seen then says nothing of the rest; else it is a sample of all.
    fn goes_on(&self) -> Option<Side> {
        let (first, last) = self.hull()?;
        let length: i64 = self.pages.iter().map(|(first, last)| last - first).sum();
        let by_date = self.pages.len() > 1 && length * 5 <= (last - first) * 6;
        let middle = |(first, last): &(i64, i64)| first + last;
        let begins = self.pages.first().map(middle);
        let ends = self.pages.last().map(middle);
        by_date.then_some(if begins > ends { Side::Older } else { Side::Newer })
    }

    /// How many pages the rest of the window seems to have; `None` if nothing tells.
    pub(super) fn pages_left(&self, window: Window, now: i64) -> Option<usize> {
        let (first, last) = self.hull()?;
        let rest = match self.goes_on()? {
            Side::Older => window.from.map(|from| first - from),
            Side::Newer => Some(window.to.unwrap_or(now) - last),
        };
        let Some(rest) = rest else {
            return Some(usize::MAX);
        };
        let rest = usize::try_from(rest).unwrap_or(0);
        let seen = usize::try_from(last - first).unwrap_or(0).max(1);
        Some(rest.saturating_mul(self.pages.len()) / seen)
    }

    /// The edges that cut a window into so many parts, in order; fewer, or none, if there is no good
    /// place for them.
    pub(super) fn edges(&self, window: Window, parts: usize, now: i64) -> Vec<i64> {
        let mut edges = match (self.hull(), self.goes_on()) {
            (None, _) => Vec::new(),
            (Some((first, last)), _) if first == last => vec![first - CLEAR, last + 1 + CLEAR],
            (Some(_), None) => self.by_sample(parts),
            (Some(hull), Some(Side::Older)) => older(hull, window.from, parts),
            (Some(hull), Some(Side::Newer)) => {
                equal_times(hull.1 + 1 + CLEAR, window.to.unwrap_or(now), parts - 1)
            }
        };
        edges.sort_unstable();
        let mut least = window.from.map_or(OLDEST, |from| from + LEAST);
        let most = window.to.map_or(now, |to| to - LEAST);
        edges.retain(|edge| {
            let fits = (least..=most).contains(edge);
            if fits {
                least = edge + LEAST;
            }
            fits
        });
        edges
    }

    /// Parts with as many members each: where the widest gap is near each edge.
    fn by_sample(&self, parts: usize) -> Vec<i64> {
        let mut sample = self.sample.clone();
        sample.sort_unstable();
        let gaps: Vec<(i64, i64)> = sample
            .windows(2)
            .filter_map(|pair| Some((pair.last()? - pair.first()?, *pair.first()?)))
            .collect();
        let reach = (gaps.len() / parts / 16).max(1);
        let edge = |part: usize| {
            let place = part * gaps.len() / parts;
            let near = gaps.get(place.saturating_sub(reach)..(place + reach).min(gaps.len()))?;
            let (gap, before) = near.iter().max()?;
            (*gap > 2 * CLEAR).then_some(before + gap / 2)
        };
        (1..parts).filter_map(edge).collect()
    }
}

/// What was seen is one part. What is older is cut into equal times; if it has no beginning, each part is
/// longer than the one before.
fn older((first, last): (i64, i64), limit: Option<i64>, parts: usize) -> Vec<i64> {
    let near = first - CLEAR;
    if let Some(limit) = limit {
        return equal_times(near, limit, parts - 1);
    }
    let mut width = (last - first).max(HOUR);
    let mut edges = vec![near];
    let mut edge = near;
    while edges.len() < parts - 1 && edge > OLDEST {
        edge -= width;
        width *= GROWTH;
        edges.push(edge);
    }
    edges
}

/// The edges of so many parts that are as long as each other; the first is where they begin.
fn equal_times(near: i64, limit: i64, parts: usize) -> Vec<i64> {
    let count = i64::try_from(parts).unwrap_or(1).max(1);
    (0..count)
        .map(|part| near + (limit - near) / count * part)
        .collect()
}
