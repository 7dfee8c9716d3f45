//! The bytes of every message never change.
//!
//! A line of a golden file is a name and the payload in hexadecimal. Lines are added, never edited: an edited
//! line is a broken promise to every program that speaks the protocol.

use crate::hex;
use crate::samples::{Sample, hellos, requests, responses};
use proto::codec;
use proto::hello::Hello;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;

type Golden = BTreeMap<String, Vec<u8>>;

fn golden(file: &str) -> Golden {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut golden = Golden::new();
    for line in text.lines() {
        let (name, bytes) = line.split_once(' ').unwrap_or_else(|| panic!("no bytes in {line}"));
        let before = golden.insert(name.to_owned(), hex::decode(bytes));
        assert!(before.is_none(), "{file} has {name} twice");
    }
    golden
}

/// Each sample has its line and each line its sample; `encode` gives the bytes, `decode` the value.
fn compare<T: Debug + PartialEq>(
    file: &str,
    samples: &[Sample<T>],
    encode: impl Fn(&T) -> Vec<u8>,
    decode: impl Fn(&[u8]) -> T,
) {
    let mut golden = golden(file);
    let mut wrong = Vec::new();
    for (name, value) in samples {
        let bytes = encode(value);
        match golden.remove(*name) {
            Some(expected) if expected == bytes => {
                assert_eq!(decode(&expected), *value, "{file}: {name} read back");
            }
            _ => wrong.push(format!("{name} {}", hex::encode(&bytes))),
        }
    }
    assert!(wrong.is_empty(), "{file} has other bytes, or none, for:\n{}\n", wrong.join("\n"));
    assert!(golden.is_empty(), "{file} has bytes without a sample: {:?}", golden.keys());
}

fn compare_values<T: Debug + PartialEq + Serialize + DeserializeOwned>(file: &str, samples: &[Sample<T>]) {
    compare(file, samples, codec::encode, |bytes| codec::decode(bytes).expect("golden bytes are a value"));
}

#[test]
fn the_bytes_of_hellos_are_the_golden_ones_both_ways() {
    compare("hello.hex", &hellos(), Hello::encode, |bytes| Hello::decode(bytes).expect("a golden hello"));
}

#[test]
fn the_bytes_of_requests_are_the_golden_ones_both_ways() {
    compare_values("request.hex", &requests());
}

#[test]
fn the_bytes_of_responses_are_the_golden_ones_both_ways() {
    compare_values("response.hex", &responses());
}
