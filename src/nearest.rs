//! The names that come nearest to one that is not there.

/// Likeness of two names, 0 to 1, from which one is offered for the other.
const ALIKE: f64 = 0.7;
/// Names that are offered.
const MOST_OFFERED: usize = 3;

/// ``did you mean `a` or `b`?``, if one of the names is like it.
pub(crate) fn did_you_mean<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let wanted = wanted.to_lowercase();
    let mut near: Vec<(f64, &str)> = names
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&name.to_lowercase(), &wanted), name))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    near.dedup();
    let names: Vec<String> = near
        .iter()
        .take(MOST_OFFERED)
        .map(|(_, name)| format!("`{name}`"))
        .collect();
    (!names.is_empty()).then(|| format!("did you mean {}?", names.join(" or ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_like_it_is_offered_the_likest_first() {
        let names = ["production-backups", "production-backup-eu", "test", "Workers"];
        let offered = did_you_mean("prodction-backups", names).unwrap();
        assert!(
            offered.starts_with("did you mean `production-backups` or `production-backup-eu`"),
            "{offered}"
        );
        assert_eq!(
            did_you_mean("worker", names).as_deref(),
            Some("did you mean `Workers`?")
        );
        assert_eq!(did_you_mean("zzz", names), None);
    }
}
