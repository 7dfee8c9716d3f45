//! Whatever a file of environment variables holds: it has a meaning, or it is no text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::spec::env_file::{NotText, parse};

fuzz_target!(|bytes: &[u8]| {
    let is_text = std::str::from_utf8(bytes).is_ok() && !bytes.contains(&0);
    let variables = match parse(bytes) {
        Ok(variables) => variables,
        Err(NotText) => return assert!(!is_text),
    };
    assert!(is_text);
    let lines = 1 + bytes.iter().filter(|&&byte| byte == b'\n').count();
    assert!(variables.ignored.iter().all(|line| (1..=lines).contains(line)));
    for (name, value) in &variables.set {
        // What execve(2) could not pass on, or another variable would be made of.
        assert!(!name.is_empty() && !name.contains('=') && !value.contains('\0'));
    }
    // Between quotes nothing but the quote is special: written so, it is read as it was.
    let written: String = variables
        .set
        .iter()
        .filter(|(_, value)| !value.contains('\''))
        .map(|(name, value)| format!("{name}='{value}'\n"))
        .collect();
    let again = parse(written.as_bytes()).expect("it is text");
    assert!(again.ignored.is_empty());
    let plain = variables.set.iter().filter(|(_, value)| !value.contains('\''));
    assert!(again.set.iter().eq(plain));
});
