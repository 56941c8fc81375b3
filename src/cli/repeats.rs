//! Warnings that come again and again: a fault that meets 50 workers at once is told of three times,
//! and the rest is counted. The log file and `--verbose` have every line.

use std::collections::HashMap;
use std::time::Duration;

/// A warning is shown so often in a [`WINDOW`]; the others are counted.
const SHOWN: usize = 3;
/// After this time the count is told, and the warning is shown again.
const WINDOW: Duration = Duration::from_secs(10);
/// Different warnings that are counted at a time; more are shown.
const MOST: usize = 1000;

#[derive(Debug)]
struct Repeated {
    since: Duration,
    times: usize,
}

/// Which warnings have been shown of late. Time is a duration since the program began.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    of_late: HashMap<String, Repeated>,
}

impl Repeats {
    /// Whether a warning is to be shown.
    pub(super) fn is_shown(&mut self, text: &str, now: Duration) -> bool {
        if let Some(repeated) = self.of_late.get_mut(text) {
            repeated.times += 1;
            return repeated.times <= SHOWN;
        }
        if self.of_late.len() < MOST {
            let first = Repeated { since: now, times: 1 };
            self.of_late.insert(text.to_owned(), first);
        }
        true
    }

    /// What has to be told at `now` of warnings that were not shown, or, at the end, of all of them.
    pub(super) fn untold(&mut self, now: Duration, all: bool) -> Vec<String> {
        let mut lines = Vec::new();
        self.of_late.retain(|text, repeated| {
            let stays = !all && now < repeated.since + WINDOW;
            if !stays && repeated.times > SHOWN {
                lines.push(format!("{} times more: {text}", repeated.times - SHOWN));
            }
            stays
        });
        lines.sort();
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_three_are_shown_and_the_others_counted_until_the_time_is_over() {
        let mut repeats = Repeats::default();
        let at = Duration::from_secs;
        let shown = (0..50).filter(|_| repeats.is_shown("a", at(1))).count();
        assert_eq!(shown, SHOWN);
        assert!(repeats.is_shown("b", at(2)));
        assert_eq!(repeats.untold(at(10), false), Vec::<String>::new());
        assert_eq!(repeats.untold(at(11), false), ["47 times more: a"]);
        assert!(repeats.is_shown("a", at(12)));
        assert_eq!(repeats.untold(at(12), true), Vec::<String>::new());
        assert!(repeats.of_late.is_empty());
    }
}
