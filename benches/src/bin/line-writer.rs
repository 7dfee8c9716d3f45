//! Writes lines of 100 bytes to standard output as fast as it can, from when a file is there.
//!
//! `line-writer FILE LINES TOGETHER`: so many lines, so many in each write.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [file, lines, together] = words.as_slice() else { return Err(io::ErrorKind::InvalidInput.into()) };
    let number = |word: &str| word.parse::<usize>().map_err(|_| io::Error::from(io::ErrorKind::InvalidInput));
    let (lines, together) = (number(lines)?, number(together)?);
    while !Path::new(file).exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut line = [b'x'; 100];
    line[99] = b'\n';
    let piece = line.repeat(together);
    let mut output = io::stdout().lock();
    for _ in 0..lines / together {
        output.write_all(&piece)?;
    }
    output.flush()?;
    loop {
        std::thread::park();
    }
}
