//! Which passed socket serves which configured listener.

use std::collections::BTreeSet;

/// What serves the configured listeners, and what is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// For each configured listener, in order, the place of the passed socket that serves it; `None` where
    /// arbiter has to open one itself.
    pub served_by: Vec<Option<usize>>,
    /// The passed sockets that serve none of them, in order: the name each is a listener by, and its place.
    pub surplus: Vec<(String, usize)>,
}

/// Assigns the sockets that were passed, by their names, to the listeners that are configured. The names of
/// each side are all different ([`distinct`]).
///
/// The names decide when all of one side are found on the other; otherwise they were given without regard to
/// arbiter's configuration (systemd names a socket after its unit where nobody says more), and the order does.
/// What is left is a listener of its own. Assigning again, with those among the configured ones, changes
/// nothing.
#[must_use]
pub fn assign(passed: &[&str], configured: &[&str]) -> Assignment {
    let is_within = |names: &[&str], others: &[&str]| names.iter().all(|name| others.contains(name));
    let by_name = is_within(passed, configured) || is_within(configured, passed);
    let serving = |(place, listener): (usize, &&str)| match by_name {
        true => passed.iter().position(|name| name == listener),
        false => (place < passed.len()).then_some(place),
    };
    let served_by: Vec<Option<usize>> = configured.iter().enumerate().map(serving).collect();
    let mut taken: BTreeSet<String> = configured.iter().chain(passed).map(|&name| name.to_owned()).collect();
    let left = (0..passed.len()).filter(|place| !served_by.contains(&Some(*place)));
    let surplus = left.map(|place| {
        let name = passed[place];
        // In order, a socket may be left whose name a listener has that another socket serves.
        let name = if configured.contains(&name) { numbered(name, &taken) } else { name.to_owned() };
        taken.insert(name.clone());
        (name, place)
    });
    let surplus = surplus.collect();
    Assignment { served_by, surplus }
}

/// Names for sockets that were passed under `names`, all different from each other and from `taken`: the
/// sockets of one unit have one name, and the second of them is known by the name and a 2.
#[must_use]
pub fn distinct(names: &[String], taken: &[&str]) -> Vec<String> {
    let mut known: BTreeSet<String> = taken.iter().map(|&name| name.to_owned()).collect();
    // First who may keep its name, so that no number makes another one of it.
    let is_first: Vec<bool> = names.iter().map(|name| known.insert(name.clone())).collect();
    let rename = |(name, is_first): (&String, bool)| {
        let name = if is_first { name.clone() } else { numbered(name, &known) };
        known.insert(name.clone());
        name
    };
    names.iter().zip(is_first).map(rename).collect()
}

/// `name2`, `name3`, …: the first that is free.
fn numbered(name: &str, taken: &BTreeSet<String>) -> String {
    (2u32..)
        .map(|number| format!("{name}{number}"))
        .find(|name| !taken.contains(name))
        .expect("there are more numbers than sockets")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assigned(passed: &[&str], configured: &[&str]) -> (Vec<Option<usize>>, Vec<(String, usize)>) {
        let Assignment { served_by, surplus } = assign(passed, configured);
        (served_by, surplus)
    }

    fn named(name: &str, place: usize) -> (String, usize) {
        (name.to_owned(), place)
    }

    #[test]
    fn sockets_replace_the_listeners_of_their_names_in_any_order() {
        assert_eq!(assigned(&["http", "admin"], &["admin", "http"]), (vec![Some(1), Some(0)], vec![]));
    }

    #[test]
    fn a_listener_that_no_socket_is_named_after_is_arbiters_own_to_open() {
        assert_eq!(assigned(&["admin"], &["http", "admin"]), (vec![None, Some(0)], vec![]));
        assert_eq!(assigned(&[], &["http"]), (vec![None], vec![]));
    }

    #[test]
    fn names_that_do_not_match_leave_it_to_the_order() {
        assert_eq!(assigned(&["web.socket"], &["http", "admin"]), (vec![Some(0), None], vec![]));
        // One that matches is not enough: the other name must have meant something, too.
        assert_eq!(assigned(&["admin", "x"], &["http", "admin"]), (vec![Some(0), Some(1)], vec![]));
    }

    #[test]
    fn sockets_beyond_the_listeners_keep_their_own_names() {
        assert_eq!(assigned(&["metrics", "http"], &["http"]), (vec![Some(1)], vec![named("metrics", 0)]));
        assert_eq!(assigned(&["x", "y"], &["http"]), (vec![Some(0)], vec![named("y", 1)]));
        assert_eq!(assigned(&["x", "y"], &[]), (vec![], vec![named("x", 0), named("y", 1)]));
    }

    #[test]
    fn a_socket_left_over_never_takes_the_name_of_a_listener() {
        let found = assigned(&["x", "y", "a", "a2"], &["a", "b"]);
        assert_eq!(found, (vec![Some(0), Some(1)], vec![named("a3", 2), named("a2", 3)]));
    }

    #[test]
    fn sockets_of_one_name_are_told_apart_by_a_number() {
        let names = |list: &[&str]| -> Vec<String> { list.iter().map(|&name| name.to_owned()).collect() };
        let found = distinct(&names(&["web", "web", "web2", "name", "web"]), &["name", "slot"]);
        assert_eq!(found, names(&["web", "web3", "web2", "name2", "web4"]));
    }

    /// Every list of different names out of `names`.
    fn lists<'a>(names: &[&'a str]) -> Vec<Vec<&'a str>> {
        let mut all: Vec<Vec<&str>> = vec![vec![]];
        let mut from = 0;
        while from < all.len() {
            let longer = names.iter().filter(|name| !all[from].contains(name));
            let longer: Vec<_> = longer.map(|name| [&all[from][..], &[*name]].concat()).collect();
            all.extend(longer);
            from += 1;
        }
        all
    }

    #[test]
    fn every_socket_serves_exactly_once_and_assigning_again_changes_nothing() {
        for passed in lists(&["a", "b", "c", "a2"]) {
            for configured in lists(&["a", "b", "c", "d"]) {
                let first = assign(&passed, &configured);
                let surplus = first.surplus.iter().map(|(name, place)| (name.as_str(), Some(*place)));
                let complete: Vec<_> =
                    configured.iter().copied().zip(first.served_by.clone()).chain(surplus).collect();
                let mut serving: Vec<_> = complete.iter().filter_map(|(_, place)| *place).collect();
                serving.sort_unstable();
                assert_eq!(serving, (0..passed.len()).collect::<Vec<_>>(), "{passed:?} {configured:?}");
                let names: Vec<_> = complete.iter().map(|(name, _)| *name).collect();
                assert_eq!(BTreeSet::from_iter(&names).len(), names.len(), "{passed:?} {configured:?}");
                let places = complete.iter().map(|(_, place)| *place).collect();
                let again = Assignment { served_by: places, surplus: vec![] };
                assert_eq!(assign(&passed, &names), again, "{passed:?} {configured:?}");
            }
        }
    }
}
