//! What comes after what.

use std::collections::BTreeMap;

/// Names, each with the names it comes after. Every name that is mentioned has to be a key too.
pub type Dependencies<'a> = BTreeMap<&'a str, Vec<&'a str>>;

/// The names of one cycle, in order and with the first one repeated at the end; `None` when there is no
/// cycle.
#[must_use]
pub fn cycle(dependencies: &Dependencies<'_>) -> Option<Vec<String>> {
    let mut done: BTreeMap<&str, ()> = BTreeMap::new();
    for &start in dependencies.keys() {
        let mut path: Vec<(&str, usize)> = vec![(start, 0)];
        while let Some(&mut (name, ref mut next)) = path.last_mut() {
            let after = dependencies.get(name).map_or(&[][..], Vec::as_slice);
            let Some(&dependency) = after.get(*next).filter(|_| !done.contains_key(name)) else {
                done.insert(name, ());
                path.pop();
                continue;
            };
            *next += 1;
            if let Some(from) = path.iter().position(|&(on_path, _)| on_path == dependency) {
                let mut names: Vec<String> = path[from..].iter().map(|(n, _)| (*n).to_owned()).collect();
                names.push(dependency.to_owned());
                return Some(names);
            }
            path.push((dependency, 0));
        }
    }
    None
}

/// `roots` and everything they come after, directly or not, in name order.
#[must_use]
pub fn closure<'a>(
    dependencies: &Dependencies<'a>,
    roots: impl IntoIterator<Item = &'a str>,
) -> Vec<&'a str> {
    let mut found: BTreeMap<&str, ()> = BTreeMap::new();
    let mut open: Vec<&str> = roots.into_iter().collect();
    while let Some(name) = open.pop() {
        if found.insert(name, ()).is_none() {
            open.extend(dependencies.get(name).into_iter().flatten());
        }
    }
    found.into_keys().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_is_told_in_order() {
        let graph = Dependencies::from([("a", vec!["b"]), ("b", vec!["c"]), ("c", vec!["b"]), ("d", vec![])]);
        assert_eq!(cycle(&graph), Some(vec!["b".into(), "c".into(), "b".into()]));
        let itself = Dependencies::from([("a", vec!["a"])]);
        assert_eq!(cycle(&itself), Some(vec!["a".into(), "a".into()]));
    }

    #[test]
    fn a_diamond_is_no_cycle() {
        let graph =
            Dependencies::from([("a", vec!["b", "c"]), ("b", vec!["d"]), ("c", vec!["d"]), ("d", vec![])]);
        assert_eq!(cycle(&graph), None);
        assert_eq!(closure(&graph, ["b"]), ["b", "d"]);
        assert_eq!(closure(&graph, ["a"]), ["a", "b", "c", "d"]);
    }
}
