//! Whatever a configuration says: it is wrong, and told where, or it means something, which can be written and read
//! again.
#![no_main]

use arbiter::config::examine;
use libfuzzer_sys::fuzz_target;
use proto::codec;
use proto::spec::{CompanionsSpec, Resolution};

/// The companions of a text. Each of them is printed with its own of what the top level says for all.
fn companions(text: &str) -> Result<CompanionsSpec, String> {
    match examine(text, false) {
        Resolution::Run { companions, .. } => {
            let mut companions: CompanionsSpec =
                codec::decode_bulk(&companions).expect("it was just written");
            let shared = &mut companions.shared;
            (shared.umask, shared.user, shared.group) = (None, None, None);
            Ok(companions)
        }
        Resolution::Print { stderr, code, .. } => {
            assert!(code == 2 && !stderr.is_empty(), "{code}: {stderr}");
            Err(stderr)
        }
        Resolution::Companions { .. } => panic!("nothing was to be loaded"),
    }
}

/// A text as it is printed, every default filled in.
fn printed(text: &str) -> String {
    match examine(text, true) {
        Resolution::Print { stdout, code: 0, .. } => stdout,
        _ => panic!("what can run cannot be printed"),
    }
}

fuzz_target!(|text: &str| {
    let Ok(meant) = companions(text) else { return };
    let effective = printed(text);
    match companions(&effective) {
        Ok(again) => assert_eq!(again, meant, "{effective}"),
        Err(wrong) => panic!("it cannot be read again: {wrong}\n{effective}"),
    }
    assert_eq!(printed(&effective), effective);
});
